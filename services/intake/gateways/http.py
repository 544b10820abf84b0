"""The routes of all gateways, and their OpenAPI. A 2xx means committed to Postgres, with Kafka up
or down.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import Any
from weakref import WeakValueDictionary

from fastapi import APIRouter, FastAPI, Request
from fastapi.openapi.utils import get_openapi
from pydantic import TypeAdapter
from starlette.responses import Response

from services.intake import spans
from services.intake.gateways.gateway import Authentication, Gateway, Submission
from services.intake.keys.key_ring import KeyRing
from services.intake.signals.domain import Identity, Overloaded, Refused, Signal, Taken
from shared.events.trace_context import trace_in_headers
from shared.http.app import PROBLEM, JsonResponse, Problem, read_body, unauthorised
from shared.runtime.clock import Clock
from shared.telemetry import span
from shared.telemetry.attributes import METHOD, ROUTE

Submit = Callable[[str, Sequence[Signal]], Awaitable[Mapping[Identity, Taken]]]
"""Stores the signals of an integration; returns the decision about each after the commit."""

Lanes = WeakValueDictionary[str, asyncio.Lock]
"""Held by an integration while a large body of its is read."""

_LARGE = 256 * 1024
_COMPONENT = "#/components/schemas/{model}"


def make_router(
    gateways: Iterable[Gateway], keys: KeyRing, submit: Submit, clock: Clock
) -> APIRouter:
    """One route for each gateway."""
    router = APIRouter()
    lanes: Lanes = WeakValueDictionary()
    for gateway in gateways:
        # Plain routes: FastAPI's own would spend more on validation than the rest of a request
        # takes.
        endpoint = partial(_serve, gateway, keys, submit, clock, lanes)
        router.add_route(gateway.path, endpoint, methods=["POST"])
    return router


async def _serve(
    gateway: Gateway, keys: KeyRing, submit: Submit, clock: Clock, lanes: Lanes, request: Request
) -> Response:
    authentication = gateway.authentication
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    limit = gateway.max_bytes(content_type)
    if find := authentication.in_headers:
        integration = await _integration(keys, find(request), authentication)
        body = await read_body(request, limit)
    else:
        body = await read_body(request, limit)
        key = authentication.in_body(body) if authentication.in_body else None
        integration = await _integration(keys, key, authentication)
    headers = request.headers.raw
    attributes = {METHOD: "POST", ROUTE: gateway.path}
    with span(spans.RECEIVE, trace_in_headers(headers), attributes) as trace:
        sent = Submission(integration, content_type, headers, body, clock(), trace)
        signals = await _read(gateway, sent, lanes)
        taken = await _store(submit, integration, signals)
    return JsonResponse(gateway.answer.render(signals, taken), gateway.answer.status)


async def _read(gateway: Gateway, sent: Submission, lanes: Lanes) -> list[Signal]:
    """The signals of a request. To read a large body takes as long as hundreds of small ones: a
    thread does that, and only one for each integration, so that others are served meanwhile.
    """
    if len(sent.body) <= _LARGE:
        return gateway.read(sent)
    lane = lanes.setdefault(sent.integration, asyncio.Lock())
    async with lane:
        return await asyncio.to_thread(gateway.read, sent)


async def _integration(keys: KeyRing, key: str | None, authentication: Authentication) -> str:
    name = await keys.integration(key)
    if name is None:
        raise unauthorised(authentication.hint)
    return name


async def _store(
    submit: Submit, integration: str, signals: Sequence[Signal]
) -> Mapping[Identity, Taken]:
    try:
        return await submit(integration, signals)
    except Overloaded:
        # 503, not 429: Alertmanager and Grafana give up for good on any 4xx.
        raise Problem(
            503, "Overloaded", "too many signals are waiting; send it again", {"Retry-After": "2"}
        ) from None
    except Refused:
        raise Problem(
            422, "Not storable", "the database refused a value in this request", field="body"
        ) from None


def describe(app: FastAPI, gateways: Iterable[Gateway]) -> dict[str, Any]:
    """The OpenAPI document of an application that has the routes of these gateways."""
    document = get_openapi(title=app.title, version=app.version, routes=[])
    declared = list(gateways)
    schemas, components = _schemas(declared)
    schemes = {one.authentication.name: dict(one.authentication.scheme) for one in declared}
    return document | {
        "paths": {one.path: {"post": _operation(one, schemas)} for one in declared},
        "components": {"schemas": components, "securitySchemes": schemes},
    }


def _schemas(gateways: Iterable[Gateway]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The JSON schemas of headers, bodies and answers, each by path and name, and the models that
    they refer to.
    """
    given: dict[str, Any] = {}
    adapters: list[tuple[str, Any, TypeAdapter[Any]]] = []
    for place, mode, schema in chain.from_iterable(map(_declared_schemas, gateways)):
        if isinstance(schema, Mapping):
            given[place] = dict(schema)
        else:
            adapters.append((place, mode, TypeAdapter(schema)))
    found, definitions = TypeAdapter.json_schemas(adapters, ref_template=_COMPONENT)
    given |= {place: schema for (place, _), schema in found.items()}
    return given, definitions.get("$defs", {})


def _declared_schemas(gateway: Gateway) -> Iterator[tuple[str, str, Any]]:
    for header in gateway.headers:
        yield f"{gateway.path} {header.name}", "validation", header.schema
    for body in gateway.bodies:
        yield f"{gateway.path} {body.content_type}", "validation", body.schema
    yield f"{gateway.path} {gateway.answer.status}", "serialization", gateway.answer.schema


def _operation(gateway: Gateway, schemas: Mapping[str, Any]) -> dict[str, Any]:
    def described(name: object) -> dict[str, Any]:
        return {"schema": schemas[f"{gateway.path} {name}"]}

    answer = {"application/json": described(gateway.answer.status)}
    return {
        "summary": gateway.summary,
        "security": [{gateway.authentication.name: []}],
        "parameters": [
            {"name": one.name, "in": "header", "description": one.meaning, **described(one.name)}
            for one in gateway.headers
        ],
        "requestBody": {
            "required": True,
            "content": {one.content_type: described(one.content_type) for one in gateway.bodies},
        },
        "responses": {
            str(gateway.answer.status): {"description": "Committed.", "content": answer},
            "default": PROBLEM,
        },
    }
