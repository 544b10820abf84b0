"""What reporting does with a batch: every record into the audit log, facts also into the
projection.

A crash at any await rolls the whole batch back, and it is read again.
"""

from collections.abc import Sequence, Set
from dataclasses import replace

from services.reporting import NAME
from services.reporting.audit.domain import extend
from services.reporting.audit.store import insert_audit, load_heads
from services.reporting.timeline.domain.state import (
    Incident,
    absorb,
    state_in,
    summarise,
    synthetic_services,
)
from services.reporting.timeline.domain.timeline import entry
from services.reporting.timeline.store import (
    insert_changes,
    insert_timeline,
    load_synthetic_services,
    lock_incidents,
    save_requests,
    save_synthetic_services,
    update_incidents,
)
from shared.events import commands, escalation, intake, rejections, triage
from shared.events.facts import Event, event_messages, new_event, next_sequence, read_fact
from shared.events.reporting import IncidentState, IncidentSummary
from shared.kafka.dead_letters.writing import dead_letter_for_record
from shared.kafka.record import Record
from shared.kafka.redrive import redriven
from shared.kafka.topics import SIGNALS
from shared.postgres.connection import Connection
from shared.postgres.installation import load_epoch
from shared.postgres.isolation import isolate
from shared.postgres.outbox import insert_outbox
from shared.runtime.clock import Clock

RECORDED = (SIGNALS, commands.TOPIC, rejections.REJECTIONS, rejections.DEAD_LETTERS)
"""Topics that the audit log takes, and nothing else."""

PROJECTED = (intake.TOPIC, triage.TOPIC, escalation.TOPIC)
"""Topics whose facts make timelines and states as well."""


class Reporting:
    """Reporting's work, each method inside a transaction of the caller's, which holds the
    partitions' offset rows.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def record(self, connection: Connection, records: Sequence[Record]) -> None:
        """Append to the audit log. Fails for no record whatever its bytes, so that the log has no
        holes.
        """
        heads = await load_heads(
            connection, {(record.topic, record.partition) for record in records}
        )
        await insert_audit(connection, extend(records, heads))

    async def record_and_project(self, connection: Connection, records: Sequence[Record]) -> None:
        """Append to the audit log, then take in what the facts say; one that cannot be taken in
        stays recorded.
        """
        await self.record(connection, records)
        await isolate(connection, records, self._project, self._give_up)

    async def record_and_redrive(self, connection: Connection, records: Sequence[Record]) -> None:
        """Append to the audit log, then take in what comes back to reporting: its topics recorded
        that long ago.
        """
        await self.record(connection, records)
        await isolate(connection, redriven(records, NAME), self._project, self._give_up)

    async def _give_up(self, connection: Connection, record: Record, error: Exception) -> None:
        now = self._clock()
        await insert_outbox(connection, [dead_letter_for_record(record, error, NAME, now)], now)

    async def _project(self, connection: Connection, records: Sequence[Record]) -> None:
        events = [event for record in records if (event := read_fact(record))]
        if told := [event for event in events if state_in(event)]:
            await self._project_incidents(connection, told)
        await insert_changes(
            connection, [e.data.change for e in events if isinstance(e.data, intake.ChangeRecorded)]
        )
        requests = [
            e.data
            for e in events
            if isinstance(e.data, intake.RequestLogged | triage.RequestRouted)
        ]
        await save_requests(connection, requests)

    async def _project_incidents(self, connection: Connection, events: Sequence[Event]) -> None:
        known = await lock_incidents(connection, {event.subject for event in events})
        incidents, causes = dict(known), {event.subject: event for event in events}
        for event in events:
            incidents[event.subject] = absorb(incidents[event.subject], event)
        epoch = await load_epoch(connection)
        states = {key: summarise(incident) for key, incident in incidents.items()}
        news = [key for key, state in states.items() if state != summarise(known[key])]
        for key in news:
            incidents[key] = replace(
                incidents[key], sequence=next_sequence(incidents[key].sequence, epoch)
            )
        await update_incidents(
            connection, incidents, states, await self._synthetic_services(connection, events)
        )
        await insert_timeline(connection, [entry(event) for event in events])
        await self._tell(connection, [(incidents[key], states[key], causes[key]) for key in news])

    async def _synthetic_services(
        self, connection: Connection, events: Sequence[Event]
    ) -> Set[str]:
        known = await load_synthetic_services(connection)
        services = synthetic_services(known, events)
        if services != known:
            await save_synthetic_services(connection, services - known, known - services)
        return services

    async def _tell(
        self, connection: Connection, news: Sequence[tuple[Incident, IncidentSummary, Event]]
    ) -> None:
        """The states as they are now, one each, in the trace of the event that brought it about."""
        now = self._clock()
        told = [
            new_event(
                incident.incident_id,
                incident.sequence,
                now,
                IncidentState(incident=state),
                cause.trace,
            )
            for incident, state, cause in news
        ]
        await insert_outbox(connection, event_messages(told), now)
