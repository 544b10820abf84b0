"""What reporting does with a batch, in the caller's transaction: every record goes into the audit
log, and facts into states and timelines too.

A crash at any await rolls the whole batch back, and it is read again.
"""

from collections.abc import Iterable, Sequence

from services.reporting import NAME
from services.reporting.audit.domain import extend
from services.reporting.audit.store import audit_write, load_heads
from services.reporting.timeline.domain.entries import TimelineEntry, make_entry, make_unknown_entry
from services.reporting.timeline.domain.state import (
    Update,
    apply_events,
    state_in,
    synthetic_services,
)
from services.reporting.timeline.store.advisories import advisories_write
from services.reporting.timeline.store.changes import changes_write
from services.reporting.timeline.store.entries import timeline_write
from services.reporting.timeline.store.incidents import (
    incidents_write,
    lock_incidents,
    synthetic_services_writes,
)
from services.reporting.timeline.store.requests import requests_write
from shared.events import intake, triage
from shared.events.cloudevents import from_record
from shared.events.facts import Event, event_messages, new_event, read_fact
from shared.events.message import OutboxMessage
from shared.events.reporting import IncidentState
from shared.kafka.dead_letters.writing import dead_letter_for_record
from shared.kafka.record import Record
from shared.kafka.redrive import redriven
from shared.postgres.connection import Connection
from shared.postgres.isolation import isolate
from shared.postgres.outbox import insert_outbox, outbox_write
from shared.postgres.writes import Write, write_together
from shared.runtime.clock import Clock

_REQUEST = intake.RequestLogged | triage.RequestRouted


class Handlers:
    """One method per kind of topic. The caller has locked the offset rows of the partitions."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def record(self, connection: Connection, records: Sequence[Record]) -> None:
        """Append to the audit log. Fails for no record, whatever its bytes, so that the log has no
        gaps.
        """
        await write_together(connection, [await self._append(connection, records)])

    async def record_and_project(self, connection: Connection, records: Sequence[Record]) -> None:
        """Append to the audit log and project the facts, together.

        Raises if one of several records cannot be projected: the caller tries again with fewer. A
        single one that cannot is recorded all the same, and goes to the dead letters.
        """
        if len(records) == 1:
            await self.record(connection, records)
            await isolate(connection, records, self._project, self._dead_letter)
            return
        appended = await self._append(connection, records)
        await write_together(connection, [appended, *await self._projection(connection, records)])

    async def record_and_redrive(self, connection: Connection, records: Sequence[Record]) -> None:
        """Append to the audit log, and project what was given back to reporting: the log has the
        records of its own topics since they first came.
        """
        await self.record(connection, records)
        await isolate(connection, redriven(records, NAME), self._project, self._dead_letter)

    async def _dead_letter(self, connection: Connection, record: Record, error: Exception) -> None:
        now = self._clock()
        await insert_outbox(connection, [dead_letter_for_record(record, error, NAME, now)], now)

    async def _append(self, connection: Connection, records: Sequence[Record]) -> Write:
        partitions = {(record.topic, record.partition) for record in records}
        return audit_write(extend(records, await load_heads(connection, partitions)))

    async def _project(self, connection: Connection, records: Sequence[Record]) -> None:
        await write_together(connection, await self._projection(connection, records))

    async def _projection(
        self, connection: Connection, records: Sequence[Record]
    ) -> list[Write | None]:
        events, entries = _read(records)
        facts = [event.data for event in events]
        changes = [fact.change for fact in facts if isinstance(fact, intake.ChangeRecorded)]
        advisories = [one.advisory for one in facts if isinstance(one, intake.AdvisoryRecorded)]
        requests = [fact for fact in facts if isinstance(fact, _REQUEST)]
        return [
            *await self._incidents(connection, [event for event in events if state_in(event)]),
            timeline_write(entries),
            changes_write(changes),
            advisories_write(advisories),
            requests_write(requests),
        ]

    async def _incidents(
        self, connection: Connection, events: Sequence[Event]
    ) -> list[Write | None]:
        if not events:
            return []
        known = await lock_incidents(connection, {event.subject for event in events})
        updates = apply_events(known.incidents, events, known.epoch)
        synthetic = synthetic_services(known.synthetic_services, events)
        now = self._clock()
        return [
            incidents_write(updates, synthetic),
            *synthetic_services_writes(known.synthetic_services, synthetic),
            outbox_write(self._states(updates), now),
        ]

    def _states(self, updates: Iterable[Update]) -> list[OutboxMessage]:
        """The states that changed, one per incident, in the trace of the newest event."""
        now = self._clock()
        states = []
        for update in updates:
            if update.cause is not None:
                incident, fact = update.incident, IncidentState(incident=update.summary)
                identity = (incident.incident_id, incident.sequence)
                states.append(new_event(*identity, now, fact, update.cause.trace))
        return event_messages(states)


def _read(records: Iterable[Record]) -> tuple[list[Event], list[TimelineEntry]]:
    """The facts of a batch, and the timelines' entries for those about incidents."""
    events, entries = [], []
    for record in records:
        event = read_fact(record)
        if event is None:
            if unknown := make_unknown_entry(from_record(record), record.timestamp):
                entries.append(unknown)
            continue
        events.append(event)
        if state_in(event):
            entries.append(make_entry(event))
    return events, entries
