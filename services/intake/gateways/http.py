"""The routes of all gateways, and their OpenAPI. A 2xx means committed to Postgres, with Kafka up
or down.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any
from weakref import WeakValueDictionary

from fastapi import APIRouter, FastAPI, Request
from fastapi.openapi.utils import get_openapi
from pydantic import TypeAdapter
from starlette.responses import Response
from starlette.routing import BaseRoute

from services.intake import spans
from services.intake.gateways.gateway import Authentication, Gateway, Read, Route, Submission
from services.intake.keys.domain import Integration
from services.intake.keys.key_ring import KeyRing
from services.intake.signals.domain import Identity, KnownAlert, Overloaded, Refused, Signal, Taken
from shared.events.cloudevents import Malformed
from shared.events.trace_context import trace_in_headers
from shared.http.app import (
    PROBLEM,
    JsonResponse,
    Problem,
    malformed_problem,
    read_body,
    unauthorised,
    unavailable_problem,
)
from shared.postgres.errors import UNAVAILABLE
from shared.runtime.clock import Clock
from shared.telemetry import span
from shared.telemetry.attributes import METHOD, ROUTE

Submit = Callable[[str, Sequence[Signal]], Awaitable[Mapping[Identity, Taken]]]
"""Stores the signals of an integration; returns the decision about each after the commit."""

Lookup = Callable[[str, Sequence[str] | None], Awaitable[Sequence[KnownAlert]]]
"""Alerts of an origin: the newest of each of some keys, or all of open incidents."""

Lanes = WeakValueDictionary[str, asyncio.Lock]
"""Held by an integration while a large body of its is read."""

_LARGE = 256 * 1024
_COMPONENT = "#/components/schemas/{model}"
_PATH_NAME = re.compile(r"{(\w+)")
_PATH_TYPE = re.compile(r":\w+}")


@dataclass(frozen=True, slots=True)
class Services:
    """What the routes of all gateways use."""

    keys: KeyRing
    submit: Submit
    lookup: Lookup
    clock: Clock


@dataclass(frozen=True, slots=True)
class _Desk:
    """A Desk for one request."""

    services: Services
    integration: str

    async def submit(self, signals: Sequence[Signal]) -> Mapping[Identity, Taken]:
        return await _store(self.services.submit, self.integration, signals)

    async def open_alerts(self, origin: str) -> Sequence[KnownAlert]:
        return await self.services.lookup(origin, None)

    async def alerts(self, origin: str, keys: Sequence[str]) -> Sequence[KnownAlert]:
        return await self.services.lookup(origin, keys)


def make_router(gateways: Iterable[Gateway], services: Services) -> APIRouter:
    """The routes of all gateways."""
    router = APIRouter()
    lanes: Lanes = WeakValueDictionary()
    for gateway in gateways:
        for route in gateway.routes:
            # Plain routes: FastAPI's own would spend more on validation than the rest of a request
            # takes.
            endpoint = partial(_serve, gateway, route, services, lanes)
            router.add_route(route.path, endpoint, methods=[route.method])
    return router


async def _serve(
    gateway: Gateway, route: Route, services: Services, lanes: Lanes, request: Request
) -> Response:
    try:
        return await _answer(gateway, route, services, lanes, request)
    except Malformed as error:
        return gateway.refuse(malformed_problem(error))
    except Problem as problem:
        return gateway.refuse(problem)
    except UNAVAILABLE as error:
        return gateway.refuse(unavailable_problem(request, error))


async def _answer(
    gateway: Gateway, route: Route, services: Services, lanes: Lanes, request: Request
) -> Response:
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    integration, body = await _authenticated(gateway, route, services.keys, content_type, request)
    headers = request.headers.raw
    attributes = {METHOD: route.method, ROUTE: route.path}
    with span(spans.RECEIVE, trace_in_headers(headers), attributes) as trace:
        sent = Submission(
            integration=integration,
            path=request.path_params,
            query=request.query_params,
            content_type=content_type,
            headers=headers,
            body=body,
            received_at=services.clock(),
            trace=trace,
        )
        desk = _Desk(services, integration.name)
        if route.read is None:
            assert route.respond is not None  # noqa: S101 - a route has one of the two
            return await route.respond(desk, sent)
        signals = await _read(route.read, sent, lanes)
        taken = await desk.submit(signals)
    return JsonResponse(route.answer.render(signals, taken), route.answer.status)


async def _authenticated(
    gateway: Gateway, route: Route, keys: KeyRing, content_type: str, request: Request
) -> tuple[Integration, bytes]:
    """Whose request it is, and its body."""
    authentication, limit = route.authentication, route.max_bytes(content_type)
    if find := authentication.in_headers:
        integration = await _integration(keys, find(request), gateway, authentication)
        return integration, await _body(route, request, limit)
    body = await _body(route, request, limit)
    key = authentication.in_body(body) if authentication.in_body else None
    return await _integration(keys, key, gateway, authentication), body


async def _body(route: Route, request: Request, limit: int) -> bytes:
    return await read_body(request, limit) if route.bodies else b""


async def _read(read: Read, sent: Submission, lanes: Lanes) -> list[Signal]:
    """The signals of a request. To read a large body takes as long as hundreds of small ones: a
    thread does that, and only one for each integration, so that others are served meanwhile.
    """
    if len(sent.body) <= _LARGE:
        return read(sent)
    lane = lanes.setdefault(sent.integration.name, asyncio.Lock())
    async with lane:
        return await asyncio.to_thread(read, sent)


async def _integration(
    keys: KeyRing, key: str | None, gateway: Gateway, authentication: Authentication
) -> Integration:
    integration = await keys.integration(key, gateway.name)
    if integration is None:
        raise unauthorised(authentication.hint)
    return integration


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


def describe(
    app: FastAPI, gateways: Iterable[Gateway], others: Sequence[BaseRoute] = ()
) -> dict[str, Any]:
    """The OpenAPI document of an application that has the routes of these gateways, and others of
    FastAPI's own.
    """
    document = get_openapi(title=app.title, version=app.version, routes=others)
    routes = [route for gateway in gateways for route in gateway.routes]
    schemas, components = _schemas(routes)
    schemes = {one.authentication.name: dict(one.authentication.scheme) for one in routes}
    paths: dict[str, dict[str, Any]] = document["paths"]
    for route in routes:
        operations = paths.setdefault(_PATH_TYPE.sub("}", route.path), {})
        operations[route.method.lower()] = _operation(route, schemas)
    own = document.get("components", {})
    components = own.get("schemas", {}) | components
    schemes = own.get("securitySchemes", {}) | schemes
    return document | {"components": {"schemas": components, "securitySchemes": schemes}}


def _schemas(routes: Iterable[Route]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The JSON schemas of parameters, bodies and answers, each by route and name, and the models
    that they refer to.
    """
    given: dict[str, Any] = {}
    adapters: list[tuple[str, Any, TypeAdapter[Any]]] = []
    for place, mode, schema in chain.from_iterable(map(_declared_schemas, routes)):
        if isinstance(schema, Mapping):
            given[place] = dict(schema)
        else:
            adapters.append((place, mode, TypeAdapter(schema)))
    found, definitions = TypeAdapter.json_schemas(adapters, ref_template=_COMPONENT)
    given |= {place: schema for (place, _), schema in found.items()}
    return given, definitions.get("$defs", {})


def _declared_schemas(route: Route) -> Iterator[tuple[str, str, Any]]:
    for parameter in route.parameters:
        yield _place(route, parameter.name), "validation", parameter.schema
    for body in route.bodies:
        yield _place(route, body.content_type), "validation", body.schema
    yield _place(route, route.answer.status), "serialization", route.answer.schema


def _place(route: Route, name: object) -> str:
    return f"{route.method} {route.path} {name}"


def _operation(route: Route, schemas: Mapping[str, Any]) -> dict[str, Any]:
    def described(name: object) -> dict[str, Any]:
        return {"schema": schemas[_place(route, name)]}

    answer = {"application/json": described(route.answer.status)}
    operation = {
        "summary": route.summary,
        "security": [{route.authentication.name: []}],
        "parameters": [
            *(_in_path(name) for name in _PATH_NAME.findall(route.path)),
            *(
                {"name": one.name, "in": one.place, "description": one.meaning}
                | described(one.name)
                for one in route.parameters
            ),
        ],
        "responses": {
            str(route.answer.status): {"description": "Committed.", "content": answer},
            "default": PROBLEM,
        },
    }
    if route.bodies:
        content = {one.content_type: described(one.content_type) for one in route.bodies}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _in_path(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
