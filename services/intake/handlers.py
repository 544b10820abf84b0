"""What intake does in one transaction: with signals, with the facts of escalation, and when a timer
is due.

A crash at any await rolls the whole transaction back: the records are read again, the HTTP caller
got no 2xx, the timers are still there.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from services.intake import metrics, spans
from services.intake.incidents import store
from services.intake.incidents.domain.ending import close, expire, release, successor, swallows
from services.intake.incidents.domain.fold import absorb, numbers_needed
from services.intake.incidents.domain.state import Incident, Outcome, Told
from services.intake.incidents.policy import IntakePolicy
from services.intake.signals.domain import (
    Alert,
    AlertData,
    ChangeData,
    RequestData,
    Signal,
    as_alert,
    read_signal,
)
from services.intake.spans import INCIDENT_NUMBER
from shared.events.cloudevents import CloudEvent, Malformed, from_record
from shared.events.escalation import IncidentResolved
from shared.events.facts import Event, Fact, event_messages, new_event, read_fact
from shared.events.ids import derived_id
from shared.events.intake import (
    Change,
    ChangeRecorded,
    IncidentCleared,
    IncidentReported,
    IncidentUpdated,
    RequestLogged,
    ServiceRequest,
)
from shared.events.rejections import SignalRejected
from shared.events.trace_context import TraceContext, new_trace
from shared.kafka.record import Record
from shared.postgres.connection import Connection
from shared.postgres.installation import load_epoch
from shared.postgres.outbox import insert_outbox
from shared.postgres.timers import Timer, insert_timers
from shared.runtime.clock import Clock, seconds_since
from shared.telemetry import measure, span
from shared.telemetry.attributes import INCIDENT_ID
from shared.telemetry.spans import Span

TOPIC_INTEGRATION = "topic"
UPDATE = "update"
EXPIRY = "expiry"
_SPANS: dict[type[Fact], Span] = {
    IncidentReported: spans.REPORT,
    IncidentUpdated: spans.UPDATE,
    IncidentCleared: spans.CLEAR,
}


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a signal: the decision in words, and the incident, request or change it went
    into.
    """

    decision: str
    subject: UUID | None


class Intake:
    """Intake's work, each method inside a transaction of the caller's."""

    def __init__(self, policy: Callable[[], IntakePolicy], clock: Clock) -> None:
        self._policy = policy
        self._clock = clock

    async def take(
        self, connection: Connection, signals: Sequence[Signal]
    ) -> dict[tuple[str, str], Taken]:
        """Log signals, open, join and clear incidents. Returns what became of each, by (origin,
        signal id).
        """
        known = await store.load_known(connection, signals)
        first: dict[tuple[str, str], Signal] = {}
        for signal in signals:
            first.setdefault((signal.origin, signal.signal_id), signal)
        fresh = [signal for pair, signal in first.items() if pair not in known]
        decided = await self._take_alerts(
            connection, [alert for s in fresh if (alert := as_alert(s))]
        )
        decided += await self._take_records(
            connection, [s for s in fresh if not isinstance(s.data, AlertData)]
        )
        if decided:
            await store.insert_signals(connection, decided, self._clock())
        _count(
            Counter(decision for _, decision, _ in decided)
            + Counter(repeat=len(signals) - len(decided))
        )
        taken = {
            (s.origin, s.signal_id): Taken(decision, subject) for s, decision, subject in decided
        }
        return {
            pair: taken.get(pair, Taken("repeat", None))
            for s in signals
            if (pair := (s.origin, s.signal_id))
        }

    async def _take_alerts(
        self, connection: Connection, alerts: Sequence[Alert]
    ) -> list[tuple[Signal, str, UUID | None]]:
        if not alerts:
            return []
        now, policy = self._clock(), self._policy()
        opened = await store.lock_open_incidents(
            connection, {alert.fingerprint for alert in alerts}
        )
        wanted = {
            (opened[a.fingerprint].incident_id, a.alert_key)
            for a in alerts
            if a.fingerprint in opened
        }
        members = await store.load_members(connection, wanted) if wanted else {}
        numbers = await store.take_numbers(connection, numbers_needed(alerts, opened))
        outcome = absorb(
            alerts, opened, members, numbers, policy, await load_epoch(connection), now
        )
        traces = await self._tell(connection, outcome.told)
        for incident_id, alert in _openers(outcome):
            waited = seconds_since(alert.signal.received_at, now)
            measure(metrics.STAGES, waited, "report", trace=traces.get(incident_id))
        _link_repeats(
            outcome, {i.incident_id: i.trace for i in opened.values() if i.trace} | traces
        )
        # Endings first: they make room for the new incident of the same fingerprint.
        await store.update_incidents(connection, outcome.changed.values())
        await store.insert_incidents(
            connection, (_traced(i, traces) for i in outcome.opened.values())
        )
        await store.save_members(connection, outcome.members)
        updates = [
            _timer(UPDATE, i, i.told_at + policy.update_interval) for i in outcome.update_due
        ]
        expiries = [
            _timer(EXPIRY, i, i.expiry_armed_at) for i in outcome.expiry_due if i.expiry_armed_at
        ]
        await insert_timers(connection, updates + expiries, now)
        return [(alert.signal, decision, subject) for alert, decision, subject in outcome.decisions]

    async def _take_records(
        self, connection: Connection, signals: Sequence[Signal]
    ) -> list[tuple[Signal, str, UUID | None]]:
        """Service requests and changes: each is one fact, with nothing to keep here beside its log
        entry.
        """
        now, events = self._clock(), []
        for signal in signals:
            fact, declared = _record(signal)
            with span(declared, signal.trace) as trace:
                events.append(new_event(signal.subject, 1, now, fact, trace or new_trace()))
        await insert_outbox(connection, event_messages(events), now)
        return [(signal, "logged", signal.subject) for signal in signals]

    async def on_signals(self, connection: Connection, records: Sequence[Record]) -> None:
        """`tocsin.signals.v1`: take what can be taken, tell publishers of the rest on the
        rejections topic.
        """
        signals, rejected, now = [], [], self._clock()
        for record in records:
            event = None
            try:
                event = from_record(record)
                signals.append(read_signal(event, TOPIC_INTEGRATION, record.timestamp))
            except Malformed as error:
                rejected.append(_rejection(record, event, error))
        await insert_outbox(connection, event_messages(rejected), now)
        _count(Counter(rejected=len(rejected)))
        if signals:
            await self.take(connection, signals)

    async def on_escalation(self, connection: Connection, records: Sequence[Record]) -> None:
        """`tocsin.escalation.v1`: close what responders resolved; what fired after they looked
        opens anew.
        """
        events = [event for record in records if (event := read_fact(record, IncidentResolved))]
        facts = [event.data for event in events if isinstance(event.data, IncidentResolved)]
        seen = {fact.response.incident_id: fact.response.intake_sequence for fact in facts}
        if not seen:
            return
        incidents = await store.lock_incidents(connection, seen)
        again = [
            successor(incident)
            for key, incident in incidents.items()
            if swallows(incident, seen[key])
        ]
        numbers = await store.take_numbers(connection, len(again))
        epoch, now = await load_epoch(connection), self._clock()
        # A database that was put back may read of the end before it reads again what began it.
        await store.insert_resolved_ahead(connection, seen.keys() - incidents.keys(), now)
        over = await store.load_resolved_ahead(connection, again) if again else set()
        closed = [
            close(incident, seen[key], numbers, epoch, now, over)
            for key, incident in incidents.items()
        ]
        fresh = {old.incident_id: told.incident for old, told in closed if told}
        traces = await self._tell(connection, [told for _, told in closed if told])
        await store.update_incidents(connection, (old for old, _ in closed))
        await store.insert_incidents(
            connection, (_traced(incident, traces) for incident in fresh.values())
        )
        await store.copy_firing_members(
            connection, {old: incident.incident_id for old, incident in fresh.items()}
        )
        # Looks at the copied ends at once and arms itself for the first of them.
        await insert_timers(
            connection, [_timer(EXPIRY, incident, now) for incident in fresh.values()], now
        )

    async def fire(self, connection: Connection, timers: Sequence[Timer]) -> None:
        """Due timers: release held-back updates, and clear what ended without a word. Stale ones do
        nothing.
        """
        epoch, now, policy = await load_epoch(connection), self._clock(), self._policy()
        incidents = await store.lock_incidents(connection, {timer.subject for timer in timers})
        ending = {timer.subject for timer in timers if timer.kind == EXPIRY} & {
            key for key, incident in incidents.items() if incident.status == "open"
        }
        ends = (
            await store.end_expired_alerts(connection, ending, now - policy.expiry_grace)
            if ending
            else {}
        )
        told, armed = [], []
        for key, (ended, next_end) in ends.items():
            incidents[key], news = expire(incidents[key], ended, next_end, policy, epoch, now)
            told += [news] if news else []
            armed += [incidents[key]] if incidents[key].expiry_armed_at else []
        for key in {timer.subject for timer in timers if timer.kind == UPDATE} & incidents.keys():
            if update := release(incidents[key], epoch, now):
                incidents[key] = update.incident
                told.append(update)
        await self._tell(connection, told)
        await store.update_incidents(connection, incidents.values())
        expiries = [_timer(EXPIRY, i, i.expiry_armed_at) for i in armed if i.expiry_armed_at]
        await insert_timers(connection, expiries, now)

    async def _tell(self, connection: Connection, told: Iterable[Told]) -> dict[UUID, TraceContext]:
        """Write facts to the outbox, each in a span of its incident's trace. Returns the traces
        that began here.
        """
        began: dict[UUID, TraceContext] = {}
        events, now = [], self._clock()
        for item in told:
            incident = item.incident
            own = incident.trace or began.get(incident.incident_id)
            links = [item.cause] if own and item.cause else []
            with span(
                _SPANS[type(item.fact)],
                own or item.cause,
                {INCIDENT_ID: str(incident.incident_id), INCIDENT_NUMBER: incident.number},
                links=links,
            ) as trace:
                position = trace or new_trace()
            if own is None:
                began[incident.incident_id] = position
            events.append(
                new_event(incident.incident_id, incident.sequence, now, item.fact, position)
            )
        await insert_outbox(connection, event_messages(events), now)
        return began


def _count(decisions: Counter[str]) -> None:
    for decision, times in (+decisions).items():
        measure(metrics.SIGNALS, times, decision)


def _openers(outcome: Outcome) -> Iterator[tuple[UUID, Alert]]:
    return (
        (subject, alert)
        for alert, decision, subject in outcome.decisions
        if decision == "opened" and subject
    )


def _link_repeats(outcome: Outcome, places: Mapping[UUID, TraceContext]) -> None:
    """Say in the traces of repeats which incident they joined: one span an incident, and none in
    its own trace.
    """
    joined: dict[UUID, dict[TraceContext, None]] = {}
    for alert, decision, subject in outcome.decisions:
        trace = alert.signal.trace
        if (
            decision == "joined"
            and subject
            and trace
            and trace.trace_id != places[subject].trace_id
        ):
            joined.setdefault(subject, {})[trace] = None
    for subject, (first, *others) in joined.items():
        links = [places[subject], *others]
        with span(spans.JOIN, first, {INCIDENT_ID: str(subject)}, links=links):
            pass


def _traced(incident: Incident, traces: dict[UUID, TraceContext]) -> Incident:
    trace = traces[incident.incident_id]
    return replace(incident, traceparent=trace.traceparent, tracestate=trace.tracestate)


def _timer(kind: str, incident: Incident, due_at: datetime) -> Timer:
    return Timer(kind, incident.incident_id, due_at, trace=incident.trace)


def _record(signal: Signal) -> tuple[RequestLogged | ChangeRecorded, Span]:
    data, common = signal.data, {"source": signal.origin, "received_at": signal.received_at}
    if isinstance(data, ChangeData):
        change = Change(
            change_id=signal.subject, made_at=signal.sent_at, **common, **data.model_dump()
        )
        return ChangeRecorded(change=change), spans.RECORD_CHANGE
    assert isinstance(data, RequestData)  # noqa: S101 - the only kind left
    request = ServiceRequest(request_id=signal.subject, **common, **data.model_dump())
    return RequestLogged(request=request), spans.LOG_REQUEST


def _rejection(record: Record, event: CloudEvent | None, error: Malformed) -> Event:
    origin = f"{record.topic}/{record.partition}"
    fact = SignalRejected(
        field=error.field,
        reason=error.reason,
        source=event.source if event else None,
        signal_id=event.id if event else None,
        partition=record.partition,
        offset=record.offset,
    )
    return new_event(
        derived_id(origin, str(record.offset), "rejection"),
        1,
        record.timestamp,
        fact,
        event.trace if event else None,
    )
