"""What intake does in one transaction: with signals, with the facts of escalation, and when a timer
is due. New alerts need no transaction: one statement reads, another writes everything.

A crash at any await rolls the whole transaction back: the records are read again, the HTTP caller
got no 2xx, the timers are still there.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from itertools import chain
from uuid import UUID

from services.intake import metrics
from services.intake.heartbeats.monitor import Monitor
from services.intake.incidents.closer import Closer
from services.intake.incidents.domain.ending import Ended, expire, flush_update, report_held_back
from services.intake.incidents.domain.fold import fold_alerts
from services.intake.incidents.domain.grouping import Grouped, group_alerts
from services.intake.incidents.domain.incident import BatchResult, Incident
from services.intake.incidents.domain.meeting import Met, numbers_needed, wanted_members
from services.intake.incidents.domain.outcome import Outcome
from services.intake.incidents.open_counts import OpenCounts
from services.intake.incidents.policy import IntakePolicy
from services.intake.incidents.store import alerts as alert_store
from services.intake.incidents.store import incidents as store
from services.intake.incidents.store.timers import EXPIRY, OPEN, UPDATE, expiry_timers, timer_of
from services.intake.incidents.tracer import Tracer
from services.intake.signals.domain import Decision, Identity, Signal, Taken, as_alert, read_signal
from services.intake.signals.domain.preparation import prepare
from services.intake.signals.domain.records import rejection
from services.intake.signals.domain.redaction import redactor
from services.intake.signals.store import explanations_write, signals_write
from shared.events.cloudevents import Malformed, from_record
from shared.events.facts import event_messages
from shared.events.ids import uuid7
from shared.kafka.record import Record
from shared.postgres.connection import Connection
from shared.postgres.outbox import insert_outbox, outbox_write
from shared.postgres.timers import Timer, timers_write
from shared.postgres.writes import write_together
from shared.runtime.clock import Clock
from shared.telemetry import measure

TOPIC_INTEGRATION = "topic"

Load = Callable[
    [Connection, Sequence[Signal], Collection[Grouped], store.Count], Awaitable[store.Loaded]
]
"""Reads what a batch of signals meets."""


class Handlers:
    """Intake's work, each method but `take_new` inside a transaction of the caller's."""

    def __init__(
        self, policy: Callable[[], IntakePolicy], clock: Clock, version: Callable[[], str] = str
    ) -> None:
        self._policy = policy
        self._clock = clock
        self._heartbeats = Monitor(clock)
        self._version = version  # of the policy
        self._open_counts = OpenCounts(clock)
        self._closer = Closer(clock)

    async def take(
        self, connection: Connection, signals: Sequence[Signal]
    ) -> dict[Identity, Taken]:
        """Log signals, open, join and clear incidents. Returns the decision about each signal.

        Raises Conflict when another transaction logged one of them, or opened one of the incidents,
        first.
        """
        beats, signals = await self._heartbeats.take(connection, signals)
        _count(Counter(taken.decision for taken in beats.values()))
        taken = await self._take(connection, signals, store.lock_for_signals) if signals else {}
        return {**beats, **taken}

    async def take_new(
        self, connection: Connection, signals: Sequence[Signal]
    ) -> dict[Identity, Taken]:
        """`take` without a transaction, for signals that meet no open incident: there is nothing to
        lock, and one statement inserts everything or nothing.

        Raises NeedsLocks, before it writes, when one meets an open incident or is a beat of a
        heartbeat; Conflict as `take`.
        """
        self._heartbeats.refuse_beats(signals)
        return await self._take(connection, signals, store.read_for_new)

    async def preview(self, connection: Connection, signals: Sequence[Signal]) -> Outcome:
        """What `take` would do, by the same code. The caller rolls back: nothing is kept but the
        numbers that incidents would have had.
        """
        return await self._decide(connection, signals, store.lock_for_signals)

    async def _take(
        self, connection: Connection, signals: Sequence[Signal], load: Load
    ) -> dict[Identity, Taken]:
        outcome = await self._decide(connection, signals, load)
        if outcome.decided:
            await self._save(connection, outcome)
        self._open_counts.add(outcome.result.opened.values())
        _count(outcome.counts(len(signals)))
        return outcome.taken()

    async def _decide(
        self, connection: Connection, signals: Sequence[Signal], load: Load
    ) -> Outcome:
        unique: dict[Identity, Signal] = {}
        for signal in signals:
            unique.setdefault(signal.identity, signal)
        version = self._version()
        sent = prepare(unique.values(), self._policy())
        alerts = [alert for signal in sent if (alert := as_alert(signal))]
        items = {item.alert.signal.identity: item for item in group_alerts(alerts, self._policy())}
        count = self._open_counts.wanted(items.values(), self._policy().storm)
        loaded = await load(connection, sent, items.values(), count)
        fresh = [s for place, s in enumerate(sent, 1) if place not in loaded.known]
        result = await self._fold(
            connection, [items[s.identity] for s in fresh if s.identity in items], loaded
        )
        records = [signal for signal in fresh if signal.identity not in items]
        decided = [(alert.signal, taken) for alert, taken in result.decisions]
        decided += [(signal, Taken(Decision.LOGGED, signal.subject)) for signal in records]
        return Outcome(sent, result, records, decided, version)

    async def _fold(
        self, connection: Connection, items: Sequence[Grouped], loaded: store.Loaded
    ) -> BatchResult:
        now, policy = self._clock(), self._policy()
        met = await self._meet(connection, items, loaded)
        missing = numbers_needed(items, met, policy) - len(loaded.numbers)
        numbers = chain(loaded.numbers, await store.take_numbers(connection, missing))
        return fold_alerts(items, met, numbers, policy, loaded.epoch, now)

    async def _meet(
        self, connection: Connection, items: Sequence[Grouped], loaded: store.Loaded
    ) -> Met:
        members = {}
        if items and loaded.open:
            named, groups = wanted_members(items, loaded.open)
            members = await alert_store.load_members(connection, named, groups, items, loaded.open)
        counts = self._open_counts.of(items, loaded.open_counts)
        return Met(loaded.open, members, loaded.episodes, counts)

    async def _save(self, connection: Connection, outcome: Outcome) -> None:
        result, batch = outcome.result, uuid7()
        now, interval = self._clock(), self._policy().update_interval
        tracer = Tracer(now)
        tracer.add_events(result.events)
        tracer.add_records(outcome.records)
        tracer.follow_decisions(result)
        replaced = result.replaced()
        if replaced:  # an index allows one open incident of a fingerprint, at any moment
            ended = [result.changed[key] for key in replaced]
            await write_together(connection, [store.updated_write(ended)])
        timers = [
            *(timer_of(OPEN, one, one.opens_at) for one in result.open_due if one.opens_at),
            *(timer_of(UPDATE, one, one.published_at + interval) for one in result.update_due),
            *expiry_timers(result.expiry_due),
        ]
        await write_together(
            connection,
            [
                signals_write(outcome.decided, now, batch),
                explanations_write(batch, outcome.decided, outcome.version, now),
                store.inserted_write(map(tracer.traced, result.opened.values())),
                store.updated_write(
                    one for key, one in result.changed.items() if key not in replaced
                ),
                alert_store.members_write(result.members),
                outbox_write(tracer.messages(), now),
                timers_write(timers, now),
            ],
        )

    async def on_signals(self, connection: Connection, records: Sequence[Record]) -> None:
        """`tocsin.signals.v1`: take what can be taken, and reject the rest to its publishers."""
        signals, rejected, now = [], [], self._clock()
        redact = redactor(self._policy().redact).text
        for record in records:
            event = None
            try:
                event = from_record(record)
                signals.append(read_signal(event, TOPIC_INTEGRATION, record.timestamp))
            except Malformed as error:
                rejected.append(rejection(record, event, error, redact))
        await insert_outbox(connection, event_messages(rejected), now)
        _count(Counter({Decision.REJECTED: len(rejected)}))
        if signals:
            await self.take(connection, signals)

    async def on_escalation(self, connection: Connection, records: Sequence[Record]) -> None:
        """`tocsin.escalation.v1`: close what responders resolved; what fired after the events that
        they had seen opens anew.
        """
        await self._closer.close_resolved(connection, records)

    async def fire(self, connection: Connection, timers: Sequence[Timer]) -> None:
        """Due timers: report what was held back and missed heartbeats, flush pending updates, and
        clear what ended without a word. Stale ones do nothing.
        """
        if alerts := await self._heartbeats.fire(connection, timers):
            await self.take(connection, alerts)
        epoch, incidents = await store.lock_incidents(connection, {t.subject for t in timers})
        now, policy, pending = self._clock(), self._policy(), []
        ends = await self._end_expired(connection, timers, incidents)
        for key, ended in ends.items():
            incidents[key], event = expire(incidents[key], ended, policy, epoch, now)
            pending += [event] if event else []
        for kind, say in ((OPEN, report_held_back), (UPDATE, flush_update)):
            due = {timer.subject for timer in timers if timer.kind == kind}
            for key in due & incidents.keys():
                if event := say(incidents[key], epoch, now):
                    incidents[key] = event.incident
                    pending.append(event)
        tracer = Tracer(now)
        tracer.add_events(pending)
        expiries = expiry_timers(incidents[key] for key in ends)
        await write_together(
            connection,
            [
                store.updated_write(incidents.values()),
                outbox_write(tracer.messages(), now),
                timers_write(expiries, now),
            ],
        )

    async def _end_expired(
        self, connection: Connection, timers: Sequence[Timer], incidents: Mapping[UUID, Incident]
    ) -> dict[UUID, Ended]:
        due = {timer.subject for timer in timers if timer.kind == EXPIRY} & incidents.keys()
        ending = {key for key in due if incidents[key].status == "open"}
        if not ending:
            return {}
        now = self._clock()
        before = now - self._policy().expiry_grace
        return await alert_store.end_expired_alerts(connection, ending, before, now)


def _count(decisions: Counter[Decision]) -> None:
    for decision, times in (+decisions).items():
        measure(metrics.SIGNALS, times, decision.value)
