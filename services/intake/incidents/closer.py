"""What becomes of incidents that responders resolved."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from services.intake.incidents.domain.ending import close, has_newer_signal, successor
from services.intake.incidents.domain.incident import PendingEvent
from services.intake.incidents.store import alerts as alert_store
from services.intake.incidents.store import incidents as store
from services.intake.incidents.store.timers import EXPIRY, timer_of
from services.intake.incidents.tracer import Tracer
from shared.events.escalation import IncidentResolved
from shared.events.facts import read_fact
from shared.kafka.record import Record
from shared.postgres.connection import Connection
from shared.postgres.outbox import outbox_write
from shared.postgres.timers import timers_write
from shared.postgres.writes import write_together
from shared.runtime.clock import Clock


class Closer:
    """Closes incidents, each time in a transaction of the caller's."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def close_resolved(self, connection: Connection, records: Sequence[Record]) -> None:
        """Close what they resolved; what fired after the events that they had seen opens anew."""
        events = [event for record in records if (event := read_fact(record, IncidentResolved))]
        facts = [event.data for event in events if isinstance(event.data, IncidentResolved)]
        seen = {fact.response.incident_id: fact.response.intake_sequence for fact in facts}
        if not seen:
            return
        epoch, incidents = await store.lock_incidents(connection, seen)
        # A restored database may read of an end before it reads again what began it.
        unknown, now = seen.keys() - incidents.keys(), self._clock()
        again = {
            successor(incident)
            for key, incident in incidents.items()
            if has_newer_signal(incident, seen[key])
        }
        numbers = await store.take_numbers(connection, len(again))
        early = await store.load_early_resolutions(connection, again) if again else set()
        closed = [
            close(incident, seen[key], numbers, epoch, now, early | unknown)
            for key, incident in incidents.items()
        ]
        early_write = store.early_resolutions_write(unknown, now)
        await write_together(
            connection, [store.updated_write(old for old, _ in closed), early_write]
        )
        opened = {old.incident_id: event for old, event in closed if event}
        ended = [old.incident_id for old, _ in closed if old.status == "closed"]
        if opened:
            await self._open_successors(connection, opened)
        await write_together(connection, [alert_store.ended_members_write(ended)])

    async def _open_successors(
        self, connection: Connection, opened: Mapping[UUID, PendingEvent]
    ) -> None:
        """Save the incidents that follow others, by the id of the incident before."""
        now = self._clock()
        tracer = Tracer(now)
        tracer.add_events(opened.values())
        incidents = {old: tracer.traced(event.incident) for old, event in opened.items()}
        successors = {old: incident.incident_id for old, incident in incidents.items()}
        # Due at once: it finds the first end among the copied alerts.
        timers = [timer_of(EXPIRY, incident, now) for incident in incidents.values()]
        writes = [
            store.inserted_write(incidents.values()),
            alert_store.copied_members_write(successors),
            outbox_write(tracer.messages(), now),
            timers_write(timers, now),
        ]
        await write_together(connection, writes)
