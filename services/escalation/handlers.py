"""What escalation reacts to: facts of triage, commands, orders of people, due timers. Load, decide,
save.
"""

from collections.abc import Sequence
from uuid import UUID

from pydantic import ValidationError

from services.escalation import metrics, spans
from services.escalation.policies.domain.page_order import Position
from services.escalation.policies.policy import CurrentTeams
from services.escalation.response import store
from services.escalation.response.domain.escalation import fire
from services.escalation.response.domain.incident import Decision
from services.escalation.response.domain.orders import Action, Answer, Order, answer, obey
from services.escalation.response.domain.triage import on_triage
from services.escalation.response.incident_batch import IncidentBatch
from services.escalation.spans import STEP, VIA
from shared.events.cloudevents import CloudEvent, Malformed, from_record
from shared.events.commands import AcknowledgeIncident, Command, ResolveIncident
from shared.events.escalation import ResponseStarted
from shared.events.facts import Event, first_problem, read_fact
from shared.events.trace_context import new_trace
from shared.events.triage import IncidentSubsided, IncidentTriaged, IncidentWithdrawn, TriageFact
from shared.kafka.record import Record
from shared.postgres.connection import Connection
from shared.postgres.database import Database
from shared.postgres.timers import Timer
from shared.postgres.writes import Write
from shared.runtime.clock import Clock, seconds_since
from shared.telemetry import measure, span
from shared.telemetry.attributes import INCIDENT_ID

_COMMANDS: dict[str, tuple[type[Command], Action]] = {
    AcknowledgeIncident.type: (AcknowledgeIncident, "acknowledge"),
    ResolveIncident.type: (ResolveIncident, "resolve"),
}
_ORDER_SPANS = {"acknowledge": spans.ACKNOWLEDGE, "resolve": spans.RESOLVE}


class Handlers:
    """For records and timers the plumbing has opened the transaction, and commits it with what it
    keeps itself: offsets, claimed timers. `respond` has a transaction of its own.
    """

    def __init__(self, database: Database, teams: CurrentTeams, clock: Clock) -> None:
        self._database = database
        self._teams = teams
        self._clock = clock
        self._epoch: int | None = None  # as it was read last

    async def on_triage(self, connection: Connection, records: Sequence[Record]) -> None:
        """Start responses, keep them up to date, end those that cleared at the source."""
        events = _triage_facts(records)
        subjects = [event.subject for event in events]
        batch = await IncidentBatch.load(connection, subjects, self._clock())
        self._epoch = batch.epoch
        for event in events:
            self._fold(batch, event)
        await batch.save(connection)

    async def start_responses(
        self, connection: Connection, records: Sequence[Record]
    ) -> Sequence[Write | None]:
        """The same for incidents that are all new, so that there is nothing to lock. Raises
        Conflict for others.
        """
        events = _triage_facts(records)
        subjects = [event.subject for event in events]
        epoch = self._epoch
        if epoch is None or not all(isinstance(event.data, IncidentTriaged) for event in events):
            # What is triaged for the first time is taken to be new, which saves the read: its write
            # fails where it is not.
            self._epoch = epoch = await store.load_epoch_of_new(connection, subjects)
        batch = IncidentBatch({}, (), epoch, self._clock())
        for event in events:
            self._fold(batch, event)
        return batch.writes()

    def _fold(self, batch: IncidentBatch, event: Event) -> None:
        id, incident = event.subject, batch.incident(event.subject)
        parent = event.trace or batch.trace(id) or new_trace()
        over = isinstance(event.data, IncidentSubsided | IncidentWithdrawn)
        declared = spans.RESOLVE if over else spans.RESPOND if incident else spans.ESCALATE
        with span(declared, parent, {INCIDENT_ID: str(id)}) as here:
            decision = on_triage(incident, event, self._teams(), batch.now, batch.unsent(id))
            batch.apply(id, decision, here or parent)
        if any(isinstance(fact, ResponseStarted) for fact in decision.facts):
            measure(metrics.STAGES, seconds_since(event.time, batch.now), "escalate", trace=here)

    async def on_command(self, connection: Connection, records: Sequence[Record]) -> None:
        """Acknowledge and resolve on the order of another system."""
        orders = [_read_command(from_record(record)) for record in records]
        batch = await IncidentBatch.load(connection, [id for id, _ in orders], self._clock())
        for id, order in orders:
            if _obey(batch, id, order) is None:
                raise Malformed("data.incident_id", f"there is no incident {id}")
        await batch.save(connection)

    async def respond(self, reference: UUID | int, order: Order) -> Answer | None:
        """Carry out the order of a person. See `Respond`."""
        async with self._database.transaction() as connection:
            id: UUID | None
            if isinstance(reference, UUID):
                id = reference
            else:
                id = await store.find_incident(connection, reference)
            batch = await IncidentBatch.load(connection, [id] if id else [], self._clock())
            decision = _obey(batch, id, order) if id else None
            await batch.save(connection)
        return answer(decision) if decision else None

    async def fire(self, connection: Connection, timers: Sequence[Timer]) -> None:
        """Begin the steps that are due. After a crash their timers are due again."""
        subjects = [timer.subject for timer in timers]
        batch = await IncidentBatch.load(connection, subjects, self._clock(), ending=False)
        for timer in timers:
            id = timer.subject
            incident, trace = batch.incident(id), batch.trace(id)
            if incident is None or trace is None:
                raise LookupError(f"there is no incident {id}")
            at = Position(timer.payload["round"], timer.payload["step"])
            decision = fire(incident, at, self._teams().content, batch.now)
            if not decision.acted:
                continue
            with span(spans.ESCALATE, trace, {INCIDENT_ID: str(id), STEP: at.step}) as here:
                batch.apply(id, decision, here or trace)
        await batch.save(connection)


def _triage_facts(records: Sequence[Record]) -> list[Event]:
    events = [read_fact(record) for record in records]
    return [event for event in events if event and isinstance(event.data, TriageFact)]


def _obey(batch: IncidentBatch, id: UUID, order: Order) -> Decision | None:
    """None when there is no such incident. The span belongs to the incident's trace; the caller's
    is linked.
    """
    incident, trace = batch.incident(id), batch.trace(id)
    if incident is None or trace is None:
        return None
    links = [order.caller] if order.caller else []
    attributes = {INCIDENT_ID: str(id), VIA: order.via}
    with span(_ORDER_SPANS[order.action], trace, attributes, links=links) as here:
        decision = obey(incident, order, batch.now, batch.unsent(id))
        batch.apply(id, decision, here or trace)
    return decision


def _read_command(envelope: CloudEvent) -> tuple[UUID, Order]:
    if envelope.type not in _COMMANDS:
        known = ", ".join(_COMMANDS)
        raise Malformed("type", f"{envelope.type} is no command; known are {known}")
    model, action = _COMMANDS[envelope.type]
    try:
        command = model.model_validate(envelope.data)
    except ValidationError as error:
        raise first_problem(error, "data") from None
    order = Order(action, command.by, "topic", command.note, envelope.trace)
    return command.incident_id, order
