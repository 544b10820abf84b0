"""The routes of all gateways. A 2xx means committed to Postgres, with Kafka up or down."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from uuid import UUID
from weakref import WeakValueDictionary

from fastapi import APIRouter, Request
from starlette.datastructures import QueryParams
from starlette.responses import Response

from services.intake import spans
from services.intake.gateways.gateway import Authentication, Gateway, Read, Route, Submission
from services.intake.gateways.http.admission import Admission, busy
from services.intake.gateways.policy import GatewayPolicy, shipped
from services.intake.integrations.domain import Integration
from services.intake.integrations.key_ring import KeyRing, TooManyUnknown
from services.intake.signals.domain import (
    Identity,
    KnownAlert,
    Overloaded,
    Refused,
    Signal,
    Taken,
    Wanted,
)
from services.intake.signals.domain.additions import with_settings
from services.intake.signals.domain.backlog import Backlog, Room
from shared.events.cloudevents import Malformed
from shared.events.trace_context import trace_in_headers
from shared.http.app import (
    JsonResponse,
    Problem,
    malformed_problem,
    read_body,
    unauthorised,
    unavailable_problem,
)
from shared.http.downloads import Downloads, NotDownloaded
from shared.postgres.errors import UNAVAILABLE
from shared.runtime.clock import Clock
from shared.telemetry import span
from shared.telemetry.attributes import METHOD, ROUTE

Submit = Callable[[str, Sequence[Signal], int], Awaitable[Mapping[Identity, Taken]]]
"""Stores signals: of which integration, and how many bytes they were. Returns the decision about
each after the commit.
"""

Lookup = Callable[[str, Wanted], Awaitable[Sequence[KnownAlert]]]
"""Alerts of an origin."""

Lanes = WeakValueDictionary[str, asyncio.Lock]
"""Held by an integration while a large body of its is read."""

_LARGE = 256 * 1024
_UNKNOWN_LENGTH = 64 * 1024


@dataclass(frozen=True, slots=True)
class Services:
    """What the routes of all gateways use."""

    keys: KeyRing
    submit: Submit
    lookup: Lookup
    clock: Clock
    policy: Callable[[], GatewayPolicy] = shipped
    downloads: Downloads = field(default_factory=lambda: Downloads(()))


@dataclass(frozen=True, slots=True)
class _Shared:
    """What all requests of a router share."""

    services: Services
    admission: Admission
    backlog: Backlog
    lanes: Lanes


@dataclass(frozen=True, slots=True)
class _Desk:
    """A Desk for one request."""

    shared: _Shared
    integration: Integration
    size: int

    async def submit(self, signals: Sequence[Signal]) -> Mapping[Identity, Taken]:
        self.shared.admission.charge(self.integration, len(signals))
        complete = with_settings(signals, self.integration)
        try:
            submit = self.shared.services.submit
            return await submit(self.integration.name, complete, self.size)
        except Refused:
            reason = "the database refused a value in this request"
            raise Problem(422, "Not storable", reason, field="body") from None

    async def open_alerts(self, origin: str) -> Sequence[KnownAlert]:
        return await self.shared.services.lookup(origin, None)

    async def alerts(self, origin: str, keys: Sequence[str]) -> Sequence[KnownAlert]:
        return await self.shared.services.lookup(origin, keys)

    async def members(self, origin: str, incident: UUID | int) -> Sequence[KnownAlert]:
        return await self.shared.services.lookup(origin, incident)

    async def download(self, url: str, *, lasting: bool = False) -> bytes:
        try:
            return await self.shared.services.downloads.download(url, lasting=lasting)
        except NotDownloaded as error:
            raise Problem(503, "Not downloaded", str(error), {"Retry-After": "20"}) from None


def make_router(gateways: Iterable[Gateway], services: Services) -> APIRouter:
    """The routes of all gateways."""
    router = APIRouter()
    shared = _Shared(services, Admission(), Backlog(), WeakValueDictionary())
    for gateway in gateways:
        for route in gateway.routes:
            # Plain routes: FastAPI's own would spend more on validation than the rest of a request
            # takes.
            endpoint = partial(_serve, gateway, route, shared)
            router.add_route(route.path, endpoint, methods=[route.method])
    return router


async def _serve(gateway: Gateway, route: Route, shared: _Shared, request: Request) -> Response:
    # What measures and logs requests takes the path from here: the real one may hold a key.
    request.scope["route"] = route
    refuse = route.refuse or gateway.refuse
    try:
        with shared.backlog.room("") as room:
            return await _answer(gateway, route, shared, room, request)
    except Malformed as error:
        return refuse(malformed_problem(error))
    except Problem as problem:
        return refuse(problem)
    except (Overloaded, TooManyUnknown):
        return refuse(busy(gateway, "too much is waiting", 2))
    except UNAVAILABLE as error:
        return refuse(unavailable_problem(request, error))


async def _answer(
    gateway: Gateway, route: Route, shared: _Shared, room: Room, request: Request
) -> Response:
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    limit = route.max_bytes(content_type)
    request.state.policy = policy = shared.services.policy()
    integration, body = await _authenticated(gateway, route, shared, room, limit, request)
    headers = request.headers.raw
    attributes = {METHOD: route.method, ROUTE: route.path}
    with span(spans.RECEIVE, trace_in_headers(headers), attributes) as trace:
        sent = Submission(
            integration=integration,
            path=_without(request.path_params, route.authentication.in_path),
            query=_query(request, route.authentication.in_query),
            content_type=content_type,
            headers=headers,
            body=body,
            received_at=shared.services.clock(),
            trace=trace,
            policy=policy,
        )
        desk = _Desk(shared, integration, len(body))
        if route.read is None:
            assert route.respond is not None  # noqa: S101 - a route has one of the two
            return await route.respond(desk, sent)
        signals = await _read(route.read, sent, shared.lanes)
        taken = await desk.submit(signals)
    return JsonResponse(route.answer.render(signals, taken), route.answer.status)


async def _authenticated(
    gateway: Gateway, route: Route, shared: _Shared, room: Room, limit: int, request: Request
) -> tuple[Integration, bytes]:
    """Whose request it is, and its body."""
    authentication = route.authentication
    if not authentication.needs_body:
        key = authentication.find(request)
        integration = await _admitted(gateway, authentication, shared, room, key)
        return integration, await _body(route, request, room, limit)
    body = await _body(route, request, room, limit)
    key = authentication.in_body(body) if authentication.in_body else None
    return await _admitted(gateway, authentication, shared, room, key), body


async def _admitted(
    gateway: Gateway, authentication: Authentication, shared: _Shared, room: Room, key: str | None
) -> Integration:
    integration = await shared.services.keys.integration(key, gateway.name)
    if integration is None:
        raise unauthorised(authentication.hint, authentication.field)
    shared.admission.admit(gateway, integration)
    room.give_to(integration.name)
    return integration


async def _body(route: Route, request: Request, room: Room, limit: int) -> bytes:
    if not route.bodies:
        return b""
    announced = request.headers.get("content-length")
    room.resize(min(int(announced) if announced else _UNKNOWN_LENGTH, limit))
    body = await read_body(request, limit)
    room.resize(len(body))
    return body


def _without(path: Mapping[str, str], key: str | None) -> Mapping[str, str]:
    return {name: value for name, value in path.items() if name != key}


def _query(request: Request, key: str | None) -> QueryParams:
    if key is None:
        return request.query_params
    given = request.query_params.multi_items()
    return QueryParams([(name, value) for name, value in given if name != key])


async def _read(read: Read, sent: Submission, lanes: Lanes) -> list[Signal]:
    """The signals of a request. To read a large body takes as long as hundreds of small ones: a
    thread does that, and only one for each integration, so that others are served meanwhile.
    """
    if len(sent.body) <= _LARGE:
        return read(sent)
    lane = lanes.setdefault(sent.integration.name, asyncio.Lock())
    async with lane:
        return await asyncio.to_thread(read, sent)
