"""HTTP: signals as CloudEvents, and Alertmanager's webhook. A 2xx means committed to Postgres,
Kafka up or down.
"""

import re
from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from functools import partial
from typing import Any, Protocol
from urllib.parse import unquote

import orjson
from fastapi import FastAPI, Request
from starlette.responses import Response

from services.intake import spans
from services.intake.gateways.alertmanager import read_webhook
from services.intake.gateways.openapi import describe
from services.intake.handlers import Taken
from services.intake.keys.key_ring import KeyRing
from services.intake.signals.domain import Signal, read_signal
from services.intake.signals.group_commit import Overloaded, Refused
from shared.events.cloudevents import (
    MAX_EVENT_BYTES,
    Malformed,
    from_binary,
    from_structured,
    load_json,
)
from shared.events.trace_context import TraceContext, trace_in
from shared.http.app import JsonResponse, Problem, bearer, create_app, read_body, unauthorised
from shared.runtime.clock import Clock
from shared.telemetry import span
from shared.telemetry.attributes import METHOD, ROUTE

MAX_BODY_BYTES = 8 * 1024 * 1024
_MAX_BATCH = 10_000
_STRUCTURED = "application/cloudevents+json"
_BATCH = "application/cloudevents-batch+json"
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_ESCAPE = re.compile(r"\\(.)")


class Submit(Protocol):
    """Stores signals and says what became of each, after the commit."""

    async def __call__(self, signals: Sequence[Signal]) -> dict[tuple[str, str], Taken]: ...


def create_api(keys: KeyRing, submit: Submit, clock: Clock) -> FastAPI:
    """Intake's application."""
    app = create_app("Tocsin intake", max_body=None)
    # Plain routes: FastAPI's own would spend more on validation than the rest of the request takes.
    app.add_route("/v1/signals", partial(_signals, keys, submit, clock), methods=["POST"])
    app.add_route("/v1/alertmanager", partial(_alertmanager, keys, submit, clock), methods=["POST"])
    app.openapi = partial(describe, app)  # type: ignore[method-assign]
    return app


async def _signals(keys: KeyRing, submit: Submit, clock: Clock, request: Request) -> Response:
    """CloudEvents: structured, binary (`ce-` headers) or a batch, told apart by the content type."""
    integration = await _integration(keys, request)
    with _server_span(request) as trace:
        signals = await _read_events(request, integration, clock, trace)
        taken = await _store(submit, signals)
    results = [
        {
            "id": s.signal_id,
            "decision": taken[s.origin, s.signal_id].decision,
            "subject": taken[s.origin, s.signal_id].subject,
        }
        for s in signals
    ]
    return JsonResponse({"accepted": len(signals), "signals": results}, 202)


async def _alertmanager(keys: KeyRing, submit: Submit, clock: Clock, request: Request) -> Response:
    """Alertmanager's webhook: configure it with `http_config.authorization.credentials` = an
    integration key.
    """
    integration = await _integration(keys, request)
    with _server_span(request) as trace:
        document = load_json(await read_body(request, MAX_BODY_BYTES), "body", MAX_BODY_BYTES)
        signals = read_webhook(document, integration, clock(), trace)
        await _store(submit, signals)
    return JsonResponse({"accepted": len(signals)}, 200)


async def _integration(keys: KeyRing, request: Request) -> str:
    name = await keys.integration(bearer(request))
    if name is None:
        raise unauthorised(
            "send `Bearer <integration key>`; make one with `tocsin intake keys create NAME`"
        )
    return name


def _server_span(request: Request) -> AbstractContextManager[TraceContext | None]:
    return span(
        spans.RECEIVE, trace_in(request.headers), {METHOD: "POST", ROUTE: request.scope["path"]}
    )


async def _read_events(
    request: Request, integration: str, clock: Clock, trace: TraceContext | None
) -> list[Signal]:
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    now = clock()
    if content_type == _BATCH:
        documents = load_json(await read_body(request, MAX_BODY_BYTES), "body", MAX_BODY_BYTES)
        if not isinstance(documents, list) or not 0 < len(documents) <= _MAX_BATCH:
            raise Malformed("body", f"must be a JSON array of 1 to {_MAX_BATCH} CloudEvents")
        return [
            _read_one(document, integration, now, trace, f"[{n}].")
            for n, document in enumerate(documents)
        ]
    body = await read_body(request, MAX_EVENT_BYTES)
    if content_type == _STRUCTURED:
        return [read_signal(from_structured(load_json(body), trace), integration, now)]
    if "ce-specversion" in request.headers:
        headers = request.headers.items()
        attributes = {
            name[3:]: _attribute(value) for name, value in headers if name.startswith("ce-")
        }
        return [read_signal(from_binary(attributes, body, trace), integration, now)]
    raise Problem(
        415,
        "Unsupported content type",
        f"Content-Type: send {_STRUCTURED}, {_BATCH}, or application/json with ce- headers",
        field="Content-Type",
    )


def _read_one(
    document: Any, integration: str, now: datetime, trace: TraceContext | None, where: str
) -> Signal:
    # What it makes has to fit into a Kafka message, however large the batch may be.
    if (size := len(orjson.dumps(document))) > MAX_EVENT_BYTES:
        raise Malformed(where.rstrip("."), f"is {size} bytes; at most {MAX_EVENT_BYTES} are taken")
    return read_signal(from_structured(document, trace, where), integration, now, where)


def _attribute(value: str) -> str:
    """A header's value as the HTTP binding (3.1.3.2) has it read: without quotes, then
    percent-decoded once.
    """
    if quoted := _QUOTED.fullmatch(value):
        value = _ESCAPE.sub(r"\1", quoted[1])
    return unquote(value)


async def _store(submit: Submit, signals: Sequence[Signal]) -> dict[tuple[str, str], Taken]:
    try:
        return await submit(signals)
    except Overloaded:
        # 503, not 429: Alertmanager and Grafana give up for good on any 4xx.
        raise Problem(
            503, "Overloaded", "too many signals are waiting; send it again", {"Retry-After": "2"}
        ) from None
    except Refused:
        raise Problem(
            422, "Not storable", "the database refused a value in this request", field="body"
        ) from None
