"""Fake trace backends with Jaeger's query API."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import web

from tests.support.http import listening

Json = dict[str, Any]


@dataclass
class TraceBackend:
    """Returns `answer` (a document or a handler) for every trace. `asked` are the trace ids of the
    requests.
    """

    answer: Json | web.Response | Any = None
    asked: list[str] = field(default_factory=list)
    url: str = ""

    async def _tell(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.match_info["id"])
        if callable(self.answer):
            handled: web.StreamResponse = await self.answer(request)
            return handled
        return web.Response(body=orjson.dumps(self.answer), content_type="application/json")


@asynccontextmanager
async def trace_backend() -> AsyncIterator[TraceBackend]:
    """A backend on a port of its own."""
    backend = TraceBackend()
    app = web.Application()
    app.router.add_get("/api/traces/{id}", backend._tell)
    async with listening(app) as backend.url:
        yield backend


def trace_document(*spans: Json) -> Json:
    """The response for one trace. Every span names its `service`."""
    services = list(dict.fromkeys(span["service"] for span in spans))
    listed = [{key: value for key, value in span.items() if key != "service"} for span in spans]
    for span, one in zip(spans, listed, strict=True):
        one["processID"] = f"p{services.index(span['service'])}"
    processes = {
        f"p{number}": {"serviceName": name, "tags": []} for number, name in enumerate(services)
    }
    return {
        "data": [{"traceID": "4" * 32, "spans": listed, "processes": processes, "warnings": None}]
    }


def span_document(
    number: int,
    parent: int | None,
    service: str,
    name: str,
    start: int,
    length: int,
    tags: Mapping[str, Any] | None = None,
) -> Json:
    """A span as Jaeger returns it; `start` and `length` in microseconds."""
    references = (
        [{"refType": "CHILD_OF", "traceID": "4" * 32, "spanID": f"{parent:016x}"}] if parent else []
    )
    return {
        "traceID": "4" * 32,
        "spanID": f"{number:016x}",
        "operationName": name,
        "references": references,
        "startTime": start,
        "duration": length,
        "tags": [
            {"key": key, "type": "string", "value": value} for key, value in (tags or {}).items()
        ],
        "logs": [],
        "service": service,
    }
