"""The decisions about signals, for people: why they were made, what they would be, and what they
should have been.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from starlette.datastructures import QueryParams
from starlette.routing import compile_path

from services.intake.gateways.gateway import Gateway, Route, Submission
from services.intake.gateways.policy import GatewayPolicy, shipped
from services.intake.incidents.domain.incident import Incident
from services.intake.incidents.domain.outcome import Outcome, shown
from services.intake.incidents.domain.payload import Payload
from services.intake.incidents.domain.reclassification import Reclassified, Reclassify, reclassify
from services.intake.incidents.store import incidents as store
from services.intake.incidents.tracer import Tracer
from services.intake.integrations.domain import Integration
from services.intake.signals.domain import Signal
from services.intake.signals.store import find_signals, load_signals_of
from shared.events.reference import format_reference, parse_reference
from shared.http.problems import Problem
from shared.postgres.connection import Connection
from shared.postgres.database import Database
from shared.postgres.outbox import outbox_write
from shared.postgres.writes import write_together
from shared.runtime.clock import Clock

Preview = Callable[[Connection, Sequence[Signal]], Awaitable[Outcome]]
_OPENING = timedelta(seconds=10)
"""From the opening of an incident to the commit of the signal behind it, at most."""


class _RolledBack(Exception):
    pass


class Decisions:
    """Explains, tries and corrects decisions."""

    def __init__(
        self,
        database: Database,
        preview: Preview,
        gateways: Sequence[Gateway],
        clock: Clock,
        gateway_policy: Callable[[], GatewayPolicy] = shipped,
    ) -> None:
        self._database = database
        self._preview = preview
        self._gateways = {gateway.name: gateway for gateway in gateways}
        self._clock = clock
        self._gateway_policy = gateway_policy

    async def explain(self, name: str) -> dict[str, Any] | None:
        """Why a signal, by its id, or an incident, by its number or id, became what it is; None if
        there is neither.
        """
        async with self._database.connection() as connection:
            reference = _reference(name)
            _, incidents = await _named(connection, reference) if reference else (0, {})
            for incident in incidents.values():
                rows = await load_signals_of(
                    connection,
                    incident.incident_id,
                    (incident.opened_at, incident.opened_at + _OPENING),
                    incident.origin,
                    [incident.fired_by, *incident.described_by[1:]],
                )
                return {"incident": shown(incident), "signals": rows}
            rows = await find_signals(connection, name)
            subjects = {row["subject"] for row in rows if row["subject"]}
            _, incidents = await store.lock_incidents(connection, subjects)
        for row in rows:
            led_to = incidents.get(row["subject"])
            row["incident"] = shown(led_to) if led_to else None
        return {"signals": rows} if rows else None

    async def try_out(self, payload: Payload) -> dict[str, Any]:
        """What a payload would do now: it is read, prepared and decided on as any other, and then
        all is rolled back. Raises Malformed or Problem, as its gateway would answer.
        """
        outcome: Outcome | None = None
        try:
            async with self._database.transaction() as connection:
                # A large body takes as long as hundreds of requests.
                signals = await asyncio.to_thread(self._read, payload)
                outcome = await self._preview(connection, signals)
                raise _RolledBack
        except _RolledBack:
            assert outcome is not None  # noqa: S101 - it was raised behind it
        return {"policy": outcome.version, "signals": outcome.explained()}

    async def reclassify(self, name: str, order: Reclassify) -> dict[str, Any] | None:
        """Make something else of an incident; None if there is no such incident. It is committed
        when this returns, and paging ends as soon as triage and escalation have read of it.
        """
        reference = _reference(name)
        if reference is None:
            return None
        async with self._database.transaction() as connection:
            done = await self._reclassify(connection, reference, order)
        if done is None:
            return None
        return {
            "incident": format_reference(done.incident.number),
            "kind": done.incident.kind,
            "said": done.said,
            "changed": done.event is not None,
            "logged_as": done.logged.subject if done.logged else None,
        }

    async def _reclassify(
        self, connection: Connection, reference: UUID | int, order: Reclassify
    ) -> Reclassified | None:
        epoch, incidents = await _named(connection, reference)
        if not incidents:
            return None
        (incident,), now = incidents.values(), self._clock()
        done = reclassify(incident, order, epoch, now)
        if done.event and done.logged:
            tracer = Tracer(now)
            tracer.add_events([done.event])
            tracer.add_records([done.logged])
            messages = outbox_write(tracer.messages(), now)
            await write_together(connection, [store.updated_write([done.incident]), messages])
        return done

    def _read(self, payload: Payload) -> list[Signal]:
        route, parameters = self._route(payload)
        now = self._clock()
        assert route.read is not None  # noqa: S101 - only such routes are found
        content_type = payload.content_type or (
            route.bodies[0].content_type if route.bodies else ""
        )
        if len(payload.body) > route.max_bytes(content_type):
            raise Problem(413, "Too large", "the gateway takes no body of this size", field="body")
        submission = Submission(
            integration=Integration(name=payload.integration),
            path=parameters,
            query=QueryParams(dict(payload.query)),
            content_type=content_type,
            headers=payload.headers,
            body=payload.body,
            received_at=now,
            trace=None,
            policy=self._gateway_policy(),
        )
        return route.read(submission)

    def _route(self, payload: Payload) -> tuple[Route, Mapping[str, str]]:
        """The call of a gateway that would read the payload: the first, unless a path is given."""
        gateway = self._gateways.get(payload.gateway)
        if gateway is None:
            known = ", ".join(sorted(self._gateways))
            raise _unknown("gateway", f"there is no gateway {payload.gateway}; send one of {known}")
        routes = [route for route in gateway.routes if route.read]
        for route in routes:
            if payload.path is None:
                return route, {}
            if match := compile_path(route.path)[0].fullmatch(payload.path):
                return route, match.groupdict()
        paths = ", ".join(route.path for route in routes) or "none: each of its calls acts at once"
        raise _unknown("path", f"the calls of {gateway.name} that can be tried are {paths}")


async def _named(connection: Connection, reference: UUID | int) -> tuple[int, dict[UUID, Incident]]:
    """The epoch, and the incident that a person names."""
    ids = (
        [reference]
        if isinstance(reference, UUID)
        else await store.find_incident(connection, reference)
    )
    return await store.lock_incidents(connection, ids)


def _unknown(name: str, detail: str) -> Problem:
    return Problem(422, "Unknown", detail, field=name)


def _reference(name: str) -> UUID | int | None:
    try:
        return parse_reference(name)
    except ValueError:
        return None
