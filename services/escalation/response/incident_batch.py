"""The incidents that one transaction works on: loaded together, decided one event at a time, saved
together.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from services.escalation.policies.domain.page_order import PageOrder
from services.escalation.response import metrics, store
from services.escalation.response.domain.incident import Decision, Incident, PageStatus
from services.escalation.response.store import StoredIncident
from shared.events.facts import Event, event_messages, new_event, next_sequence
from shared.events.trace_context import TraceContext
from shared.postgres.connection import Connection
from shared.postgres.outbox import outbox_write
from shared.postgres.timers import Timer, timers_write
from shared.postgres.writes import Write, write_together

STEP = "step"
"""The kind of timer that begins a step."""


class IncidentBatch:
    """Holds the locks of its incidents until the transaction ends. All of it or nothing: a crash at
    any await before the commit leaves the rows, the ledger, the timers and the outbox as they were.
    """

    def __init__(
        self,
        known: dict[UUID, StoredIncident],
        unsent: Sequence[PageOrder],
        epoch: int,
        now: datetime,
    ) -> None:
        self.now = now
        self._known = known
        self._unsent: dict[UUID, list[PageOrder]] = defaultdict(list)
        for page in unsent:
            self._unsent[page.incident_id].append(page)
        self.epoch = epoch
        self._created: set[UUID] = set()
        self._changed: set[UUID] = set()
        self._published: set[UUID] = set()
        self._events: list[Event] = []
        self._pages: list[tuple[PageOrder, TraceContext]] = []
        self._timers: dict[UUID, Timer] = {}

    @classmethod
    async def load(
        cls, connection: Connection, ids: Iterable[UUID], now: datetime, *, ending: bool = True
    ) -> "IncidentBatch":
        """Lock the incidents that exist. Called once a transaction, after offsets and timers were
        locked.

        With `ending`, decisions may end a response, and need the pages that this cancels.
        """
        known, epoch = await store.lock_incidents(connection, list(set(ids)))
        triggered = [id for id, stored in known.items() if stored.incident.triggered]
        unsent = await store.list_unsent(connection, triggered) if ending and triggered else []
        return cls(known, unsent, epoch, now)

    def incident(self, id: UUID) -> Incident | None:
        """The incident after the events so far."""
        stored = self._known.get(id)
        return stored.incident if stored else None

    def trace(self, id: UUID) -> TraceContext | None:
        """The place in the incident's trace that new spans hang from."""
        stored = self._known.get(id)
        return stored.trace if stored else None

    def unsent(self, id: UUID) -> Sequence[PageOrder]:
        """Pages that an acknowledgement would cancel now."""
        return self._unsent[id]

    def apply(
        self, id: UUID, decision: Decision, trace: TraceContext, at: datetime | None = None
    ) -> None:
        """Apply a decision about what happened at that instant, or just now. `trace` is the span of
        it, and where a new incident hangs from.
        """
        before = self._known.get(id)
        sequence = before.sequence if before else 0
        for fact in decision.facts:
            sequence = next_sequence(sequence, self.epoch)
            self._events.append(new_event(id, sequence, at or self.now, fact, trace))
            metrics.count(fact, decision.incident, trace)
        place = before.trace if before else trace
        self._known[id] = StoredIncident(decision.incident, sequence, place)
        if before is None:
            self._created.add(id)
        if before is None or decision.incident is not before.incident:
            self._changed.add(id)
        elif decision.facts:
            self._published.add(id)
        self._pages += [(page, trace) for page in decision.pages]
        self._unsent[id] += decision.pages
        if due := decision.timer:
            payload = {"round": due.round, "step": due.step}
            self._timers[id] = Timer(STEP, id, due.due_at, payload, place)

    async def save(self, connection: Connection, *others: Write | None) -> None:
        """Write all that was decided, and `others`, in one statement."""
        await write_together(connection, [*self.writes(), *others])

    def writes(self) -> list[Write | None]:
        """All that was decided. Incidents that did not exist must not exist then either."""
        changed = [self._known[id] for id in sorted(self._changed)]
        published = sorted(self._published - self._changed)
        ended = [stored.incident.id for stored in changed if not stored.incident.triggered]
        created = [stored for stored in changed if stored.incident.id in self._created]
        updated = [stored for stored in changed if stored.incident.id not in self._created]
        return [
            store.new_incidents_write(created, self.epoch, self.now),
            store.incidents_write(updated, self.now),
            store.sequences_write({id: self._known[id].sequence for id in published}, self.now),
            store.pages_write([self._inserted(*page) for page in self._pages], self.now),
            store.cancellations_write(ended),
            timers_write(list(self._timers.values()), self.now),
            outbox_write(event_messages(self._events), self.now),
        ]

    def _inserted(
        self, page: PageOrder, trace: TraceContext
    ) -> tuple[PageOrder, PageStatus, TraceContext]:
        """A page with the status that it is inserted with: its incident may have ended since."""
        triggered = self._known[page.incident_id].incident.triggered
        return page, PageStatus.PENDING if triggered else PageStatus.CANCELLED, trace
