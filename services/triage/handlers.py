"""What triage does in one transaction with news of intake.

A crash at any await rolls back state and events together; the records are read again.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from uuid import UUID

from services.triage import metrics, spans
from services.triage.catalogue.policy import Catalogue
from services.triage.metrics import PRIORITY
from services.triage.priority import store
from services.triage.priority.domain import State, decide, route
from services.triage.spans import TEAM
from shared.events.facts import Event, event_messages, new_event, next_sequence, read_fact
from shared.events.intake import IncidentNews, RequestLogged
from shared.events.trace_context import TraceContext
from shared.events.triage import IncidentTriaged, TriageFact
from shared.kafka.record import Record
from shared.policy.files import PolicyFile
from shared.postgres.connection import Connection
from shared.postgres.installation import load_epoch
from shared.postgres.outbox import insert_outbox
from shared.runtime.clock import Clock, seconds_since
from shared.telemetry import measure, span
from shared.telemetry.attributes import INCIDENT_ID


class Triage:
    """Triage's work, inside a transaction of the caller's."""

    def __init__(self, catalogue: Callable[[], PolicyFile[Catalogue]], clock: Clock) -> None:
        self._catalogue = catalogue
        self._clock = clock

    async def on_intake(self, connection: Connection, records: Sequence[Record]) -> None:
        """`tocsin.intake.v1`: prioritise incidents, route requests; news older than what is known
        changes nothing.
        """
        events = [event for record in records if (event := read_fact(record))]
        written = await self._triage(
            connection, [e for e in events if isinstance(e.data, IncidentNews)]
        )
        written += await self._route(
            connection, [e for e in events if isinstance(e.data, RequestLogged)]
        )
        await insert_outbox(connection, event_messages(written), self._clock())

    async def _triage(self, connection: Connection, events: Sequence[Event]) -> list[Event]:
        if not events:
            return []
        now, catalogue, epoch = self._clock(), self._catalogue(), await load_epoch(connection)
        states = await store.load_states(connection, {event.subject for event in events})
        saved: dict[UUID, State] = {}
        written = []
        for event in events:
            assert isinstance(event.data, IncidentNews)  # noqa: S101 - the caller's filter, for the type checker
            state = states.get(event.subject)
            fact = decide(state, event.data, event.data.incident, event.sequence, catalogue)
            if fact is None:
                continue
            sequence = next_sequence(state.sequence if state else 0, epoch)
            with _triage_span(event, fact) as trace:
                written.append(new_event(event.subject, sequence, now, fact, trace))
            measure(metrics.TRIAGED, 1, type(fact).__name__, fact.triage.priority.value)
            if isinstance(fact, IncidentTriaged):
                measure(metrics.STAGES, seconds_since(event.time, now), "triage", trace=trace)
            states[event.subject] = saved[event.subject] = State(fact.triage, sequence)
        await store.save_states(connection, saved, now)
        return written

    async def _route(self, connection: Connection, events: Sequence[Event]) -> list[Event]:
        if not events:
            return []
        now, catalogue = self._clock(), self._catalogue()
        routed = {
            e.subject: (e, route(e.data.request, catalogue))
            for e in events
            if isinstance(e.data, RequestLogged)
        }
        fresh = await store.insert_requests(connection, [fact for _, fact in routed.values()], now)
        written = []
        for request_id in routed.keys() & fresh:
            event, fact = routed[request_id]
            with span(spans.ROUTE_REQUEST, event.trace, {TEAM: fact.team}) as trace:
                written.append(new_event(request_id, 1, now, fact, trace))
            measure(metrics.TRIAGED, 1, type(fact).__name__, "")
        return written


def _triage_span(event: Event, fact: TriageFact) -> AbstractContextManager[TraceContext | None]:
    return span(
        spans.TRIAGE,
        event.trace,
        {
            INCIDENT_ID: str(event.subject),
            PRIORITY: fact.triage.priority.value,
            TEAM: fact.triage.team,
        },
    )
