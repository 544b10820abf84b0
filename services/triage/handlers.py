"""What triage does with a batch of intake's facts.

One statement reads, one writes, and it fails as a whole where a row is not as it was read. A crash
at any await leaves states and events as they were, and the records are read again.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import get_args
from uuid import UUID

from services.triage import metrics, spans
from services.triage.catalogue.policy import CurrentCatalogue
from services.triage.metrics import PRIORITY
from services.triage.priority.domain import State, coalesce, decide
from services.triage.priority.store import load_states, states_write
from services.triage.requests.domain import route
from services.triage.requests.store import load_known_requests, requests_write
from services.triage.spans import TEAM
from shared.events.facts import Event, event_messages, new_event, next_sequence, read_fact
from shared.events.intake import IncidentNews, IncidentReported, RequestLogged, ServiceRequest
from shared.events.trace_context import TraceContext
from shared.events.triage import IncidentTriaged, TriageFact
from shared.kafka.record import Record
from shared.postgres.connection import Connection
from shared.postgres.outbox import outbox_write
from shared.postgres.writes import Write, write_together
from shared.runtime.clock import Clock, seconds_since
from shared.telemetry import measure, span
from shared.telemetry.attributes import INCIDENT_ID

_READ = (*get_args(IncidentNews), RequestLogged)
_Result = tuple[list[Event], Write | None]
"""Events to publish, and the state to write with them."""


class Handlers:
    """One method per topic."""

    def __init__(self, catalogue: CurrentCatalogue, clock: Clock) -> None:
        self._catalogue = catalogue
        self._clock = clock
        self._epoch: int | None = None  # as it was read last

    async def on_intake(self, connection: Connection, records: Sequence[Record]) -> None:
        """`tocsin.intake.v1`: prioritise incidents, route requests."""
        writes = await self._decide(connection, records, expect_new=False)
        await write_together(connection, writes)

    async def decide(
        self, connection: Connection, records: Sequence[Record]
    ) -> Sequence[Write | None]:
        """The same without a transaction: reported incidents are new, or their write fails."""
        return await self._decide(connection, records, expect_new=True)

    async def _decide(
        self, connection: Connection, records: Sequence[Record], *, expect_new: bool
    ) -> Sequence[Write | None]:
        """What follows from news of intake. News older than what is known changes nothing."""
        events = [event for record in records if (event := read_fact(record, *_READ))]
        news = [event for event in events if isinstance(event.data, IncidentNews)]
        requests = [event for event in events if isinstance(event.data, RequestLogged)]
        new = expect_new and all(isinstance(event.data, IncidentReported) for event in news)
        prioritised, states = await self._prioritise(connection, news, new)
        routed, rows = await self._route(connection, requests)
        return [states, rows, outbox_write(event_messages(prioritised + routed), self._clock())]

    async def _prioritise(
        self, connection: Connection, events: Sequence[Event], new: bool
    ) -> _Result:
        if not events:
            return [], None
        now, catalogue = self._clock(), self._catalogue()
        states, epoch = await self._states(connection, events, new)
        decided: dict[UUID, State] = {}
        before = {incident_id: state.sequence for incident_id, state in states.items()}
        published = []
        for news in coalesce(events):
            incident_id, state = news.newest.subject, states.get(news.newest.subject)
            fact = decide(state, news.fact, news.newest.sequence, catalogue)
            if fact is None:
                continue
            sequence = next_sequence(state.sequence if state else 0, epoch)
            with _triage_span(news.newest, fact) as trace:
                published.append(new_event(incident_id, sequence, now, fact, trace))
            _measure(fact, seconds_since(news.since, now), trace)
            states[incident_id] = decided[incident_id] = State(fact.triage, sequence)
        return published, states_write(decided, before, epoch, now)

    async def _states(
        self, connection: Connection, events: Sequence[Event], new: bool
    ) -> tuple[dict[UUID, State], int]:
        if new and self._epoch is not None:
            return {}, self._epoch
        states, epoch = await load_states(connection, {event.subject for event in events})
        self._epoch = epoch
        return states, epoch

    async def _route(self, connection: Connection, events: Sequence[Event]) -> _Result:
        requests = {event.subject: (event, _request_in(event)) for event in events}
        if not requests:
            return [], None
        now, catalogue = self._clock(), self._catalogue()
        known = await load_known_requests(connection, requests.keys())
        facts, published = [], []
        for request_id in requests.keys() - known:
            event, request = requests[request_id]
            fact = route(request, catalogue)
            with span(spans.ROUTE_REQUEST, event.trace, {TEAM: fact.team}) as trace:
                published.append(new_event(request_id, 1, now, fact, trace))
            measure(metrics.TRIAGED, 1, type(fact).__name__, "")
            facts.append(fact)
        return published, requests_write(facts, now)


def _request_in(event: Event) -> ServiceRequest:
    assert isinstance(event.data, RequestLogged)  # noqa: S101 - for the type checker
    return event.data.request


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


def _measure(fact: TriageFact, seconds: float, trace: TraceContext | None) -> None:
    measure(metrics.TRIAGED, 1, type(fact).__name__, fact.triage.priority.value)
    if isinstance(fact, IncidentTriaged):
        measure(metrics.STAGES, seconds, "triage", trace=trace)
