"""A real trace backend: Jaeger with spans in memory, listening on loopback only."""

import hashlib
import os
import shutil
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from deploy.local.ports import choose, url
from deploy.local.process import spawn, stop
from tests.support.running import eventually

_CHECKOUT = Path(__file__).parents[2]
_CONFIG = """
service:
  extensions: [jaeger_storage, jaeger_query]
  pipelines:
    traces: {{receivers: [otlp], exporters: [jaeger_storage_exporter]}}
  telemetry:
    metrics: {{level: none}}
extensions:
  jaeger_storage:
    backends: {{memory: {{memory: {{max_traces: 10000}}}}}}
  jaeger_query:
    storage: {{traces: memory}}
    http: {{endpoint: "127.0.0.1:{query}"}}
    grpc: {{endpoint: "127.0.0.1:{grpc}"}}
receivers:
  otlp: {{protocols: {{http: {{endpoint: "127.0.0.1:{otlp}"}}}}}}
exporters:
  jaeger_storage_exporter: {{trace_storage: memory}}
"""

Json = dict[str, Any]


def executable() -> Path | None:
    """The path in TOCSIN_TEST_JAEGER, the one built by `tests/jaeger/build`, or `jaeger` on
    PATH.
    """
    if given := os.environ.get("TOCSIN_TEST_JAEGER"):
        return Path(given)
    version = hashlib.sha256((_CHECKOUT / "tests/jaeger/go.sum").read_bytes()).hexdigest()[:16]
    built = _CHECKOUT / ".cache/jaeger" / version / "jaeger"
    found = shutil.which("jaeger")
    return built if built.exists() else Path(found) if found else None


@dataclass
class Jaeger:
    """A running backend. `otlp` is for OTEL_EXPORTER_OTLP_ENDPOINT, `query` the base URL of its
    query API.
    """

    otlp: str
    query: str
    http: aiohttp.ClientSession

    async def trace(self, trace_id: str) -> list["JaegerSpan"]:
        """The spans of a trace that have arrived."""
        async with self.http.get(f"{self.query}/api/traces/{trace_id}") as answer:
            return _read(await answer.json()) if answer.status == 200 else []

    async def find(self, service: str, name: str) -> list["JaegerSpan"]:
        """The spans with this name, and all other spans of their traces."""
        wanted = {"service": service, "operation": name, "limit": "1000", "lookback": "1h"}
        async with self.http.get(f"{self.query}/api/traces", params=wanted) as answer:
            assert answer.status == 200, await answer.text()
            return [
                span for span in _read(await answer.json()) if span.label == f"{service}:{name}"
            ]

    async def answers(self) -> bool:
        """Whether its query API answers."""
        try:
            async with self.http.get(f"{self.query}/api/services") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False


@dataclass(frozen=True)
class JaegerSpan:
    """A span as Jaeger returns it; `links` are trace ids, `start` is in seconds since 1970."""

    label: str
    trace_id: str
    span_id: str
    parent_id: str
    links: tuple[str, ...]
    start: float


def _read(answer: Json) -> list[JaegerSpan]:
    return [_tell(span, trace["processes"]) for trace in answer["data"] for span in trace["spans"]]


def _tell(span: Json, processes: Json) -> JaegerSpan:
    references = span["references"]
    parents = [
        r["spanID"]
        for r in references
        if r["refType"] == "CHILD_OF" and r["traceID"] == span["traceID"]
    ]
    return JaegerSpan(
        label=f"{processes[span['processID']]['serviceName']}:{span['operationName']}",
        trace_id=span["traceID"],
        span_id=span["spanID"],
        parent_id=parents[0] if parents else "",
        links=tuple(r["traceID"] for r in references if r["refType"] == "FOLLOWS_FROM"),
        start=span["startTime"] / 1_000_000,
    )


def edges(spans: list[JaegerSpan]) -> set[tuple[str, str]]:
    """The edges (parent, child) of a trace by label: parent "" for a root, "?" when the parent is
    missing.
    """
    labels = {"": ""} | {span.span_id: span.label for span in spans}
    return {(labels.get(span.parent_id, "?"), span.label) for span in spans}


@asynccontextmanager
async def jaeger(folder: Path) -> AsyncIterator[Jaeger]:
    """A new backend. Skips the test when there is no executable, unless one was required."""
    program = executable()
    if program is None:
        pytest.skip(
            "no jaeger: build it with tests/jaeger/build (needs Go) or put `jaeger` 2 on PATH"
        )
    query, grpc, otlp = choose(3)
    config = folder / "jaeger.yaml"
    config.write_text(_CONFIG.format(query=query, grpc=grpc, otlp=otlp))
    process = spawn([program, "--config", config], folder / "jaeger.log")
    try:
        async with aiohttp.ClientSession() as http:
            backend = Jaeger(url(otlp), url(query), http)

            async def ready() -> bool:
                assert process.poll() is None, (folder / "jaeger.log").read_text()[-3000:]
                return await backend.answers()

            await eventually("jaeger answers", ready, 60)
            yield backend
    finally:
        stop(
            process, signal.SIGKILL, 10
        )  # all it has is in memory, and an orderly end takes ten seconds


@contextmanager
def publishing(otlp: str, service: str, name: str) -> Iterator[str]:
    """A span of another system, exported when the block ends; yields its traceparent."""
    provider = TracerProvider(resource=Resource.create({"service.name": service}))
    provider.add_span_processor(
        SimpleSpanProcessor(OTLPSpanExporter(f"{otlp}/v1/traces", timeout=10))
    )
    with provider.get_tracer("probe").start_as_current_span(name) as span:
        context = span.get_span_context()
        yield f"00-{context.trace_id:032x}-{context.span_id:016x}-01"
    provider.shutdown()
