"""The spans of what one transaction does to incidents."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from services.intake import metrics, spans
from services.intake.incidents.domain.incident import BatchResult, Incident, PendingEvent
from services.intake.incidents.domain.traces import joined_traces
from services.intake.signals.domain import Decision, Signal
from services.intake.signals.domain.records import logged
from services.intake.spans import INCIDENT_NUMBER
from shared.events.facts import Event, Fact, event_messages, new_event
from shared.events.intake import (
    AdvisoryRecorded,
    ChangeRecorded,
    IncidentCleared,
    IncidentReclassified,
    IncidentReported,
    IncidentUpdated,
    RequestLogged,
)
from shared.events.message import OutboxMessage
from shared.events.trace_context import TraceContext, new_trace
from shared.runtime.clock import seconds_since
from shared.telemetry import measure, span
from shared.telemetry.attributes import INCIDENT_ID
from shared.telemetry.spans import Span

_SPANS: dict[type[Fact], Span] = {
    IncidentReported: spans.REPORT,
    IncidentUpdated: spans.UPDATE,
    IncidentCleared: spans.CLEAR,
    IncidentReclassified: spans.RECLASSIFY,
    ChangeRecorded: spans.RECORD_CHANGE,
    AdvisoryRecorded: spans.RECORD_ADVISORY,
    RequestLogged: spans.LOG_REQUEST,
}


class Tracer:
    """Turns the facts of one transaction into events, each in a span of its incident's trace."""

    def __init__(self, now: datetime) -> None:
        self._now = now
        self._events: list[Event] = []
        self._began: dict[UUID, TraceContext] = {}

    def messages(self) -> list[OutboxMessage]:
        """What is to be published."""
        return event_messages(self._events)

    def traced(self, incident: Incident) -> Incident:
        """A new incident as part of the trace that began with its first event, or with the signal
        that will be its first.
        """
        if incident.trace:
            return incident
        return incident.in_trace(self._began.get(incident.incident_id) or new_trace())

    def add_events(self, pending: Iterable[PendingEvent]) -> None:
        """Facts about incidents. An incident without a trace takes over that of the signal."""
        for item in pending:
            incident = item.incident
            own = incident.trace or self._began.get(incident.incident_id)
            with span(
                _SPANS[type(item.fact)],
                own or item.cause,
                {INCIDENT_ID: str(incident.incident_id), INCIDENT_NUMBER: incident.number},
                links=[item.cause] if own and item.cause else [],
            ) as trace:
                position = trace or new_trace()
            if own is None:
                self._began[incident.incident_id] = position
            self._add(incident.incident_id, incident.sequence, item.fact, position)

    def add_records(self, signals: Iterable[Signal]) -> None:
        """Facts about service requests, changes and advisories."""
        for signal in signals:
            fact = logged(signal)
            with span(_SPANS[type(fact)], signal.trace) as trace:
                self._add(signal.subject, 1, fact, trace or new_trace())

    def follow_decisions(self, result: BatchResult) -> None:
        """Measure the latency of new incidents, and link the traces of repeats to the incident that
        they joined: one span per incident, and none in its own trace.
        """
        for alert, taken in result.decisions:
            if taken.decision is Decision.OPENED and taken.subject:
                waited = seconds_since(alert.signal.received_at, self._now)
                trace = self._began.get(taken.subject)
                measure(metrics.STAGES, waited, "report", trace=trace)
        own = {key: one.trace for key, one in result.changed.items() if one.trace}
        for joined in joined_traces(result, own | self._began):
            attributes = {INCIDENT_ID: str(joined.incident_id)}
            with span(spans.JOIN, joined.first, attributes, links=joined.links):
                pass

    def _add(self, subject: UUID, sequence: int, fact: Fact, trace: TraceContext) -> None:
        self._events.append(new_event(subject, sequence, self._now, fact, trace))
