"""The incidents that one transaction works on: loaded together, decided one event at a time, saved
together.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from services.escalation.policies.domain import PageOrder
from services.escalation.response import figures, store
from services.escalation.response.domain import Decision, Incident
from services.escalation.response.store import Stored
from shared.events.facts import Event, event_messages, new_event, next_sequence
from shared.events.trace_context import TraceContext
from shared.postgres.connection import Connection
from shared.postgres.installation import load_epoch
from shared.postgres.outbox import insert_outbox
from shared.postgres.timers import Timer, insert_timers

STEP = "step"
"""The kind of timer that begins a step."""


class Batch:
    """Holds the locks of its incidents until the transaction ends. All of it or nothing: a crash at
    any await before the commit leaves the rows, the ledger, the timers and the outbox as they were.
    """

    def __init__(
        self, known: dict[UUID, Stored], unsent: Sequence[PageOrder], epoch: int, now: datetime
    ) -> None:
        self.now = now
        self._known = known
        self._unsent: dict[UUID, list[PageOrder]] = defaultdict(list)
        for page in unsent:
            self._unsent[page.incident_id].append(page)
        self._epoch = epoch
        self._changed: set[UUID] = set()
        self._told: set[UUID] = set()
        self._events: list[Event] = []
        self._pages: list[tuple[PageOrder, TraceContext]] = []
        self._timers: dict[UUID, Timer] = {}

    @classmethod
    async def load(
        cls, connection: Connection, ids: Iterable[UUID], now: datetime, *, cutting: bool = True
    ) -> "Batch":
        """Lock the incidents (those that exist). Called once a transaction, after offsets and
        timers were locked.

        With `cutting`, decisions may end a response, and are told which pages that cuts.
        """
        wanted = list(set(ids))
        known = await store.load_incidents(connection, wanted)
        triggered = [
            id for id, stored in known.items() if stored.incident.response.status == "triggered"
        ]
        unsent = await store.list_unsent(connection, triggered) if cutting and triggered else []
        return cls(known, unsent, await load_epoch(connection), now)

    def incident(self, id: UUID) -> Incident | None:
        """The incident as the events before have left it."""
        stored = self._known.get(id)
        return stored.incident if stored else None

    def trace(self, id: UUID) -> TraceContext | None:
        """Where later spans of the incident hang from."""
        stored = self._known.get(id)
        return stored.trace if stored else None

    def unsent(self, id: UUID) -> Sequence[PageOrder]:
        """Pages that would be cut now."""
        return self._unsent[id]

    def apply(self, id: UUID, decision: Decision, trace: TraceContext) -> None:
        """Take a decision on; `trace` is the span that made it, and becomes the incident's place
        when it is new.
        """
        before = self._known.get(id)
        sequence = before.sequence if before else 0
        for fact in decision.facts:
            sequence = next_sequence(sequence, self._epoch)
            self._events.append(new_event(id, sequence, self.now, fact, trace))
            figures.count(fact, decision.incident, trace)
        self._known[id] = Stored(decision.incident, sequence, before.trace if before else trace)
        if before is None or decision.incident is not before.incident:
            self._changed.add(id)
        elif decision.facts:
            self._told.add(id)
        self._pages += [(page, trace) for page in decision.pages]
        self._unsent[id] += decision.pages
        if due := decision.timer:
            payload = {"round": due.round, "step": due.step}
            self._timers[id] = Timer(STEP, id, due.due_at, payload, self._known[id].trace)

    async def save(self, connection: Connection) -> None:
        """Write all that was decided, each kind in one statement."""
        changed = [self._known[id] for id in sorted(self._changed)]
        if changed:
            await store.save_incidents(connection, changed, self.now)
        if told := {id: self._known[id].sequence for id in sorted(self._told - self._changed)}:
            await store.save_sequences(connection, told, self.now)
        if self._pages:
            await store.insert_deliveries(connection, self._pages, self.now)
        if over := [
            stored.incident.id
            for stored in changed
            if stored.incident.response.status != "triggered"
        ]:
            await store.cut_deliveries(connection, over)
        await insert_timers(connection, list(self._timers.values()), self.now)
        await insert_outbox(connection, event_messages(self._events), self.now)
