"""Subscriptions: triage's facts and other systems' commands. Load, decide, save."""

from collections.abc import Sequence

from pydantic import ValidationError

from services.escalation import metrics, spans
from services.escalation.policies.policy import CurrentTeams
from services.escalation.response import domain
from services.escalation.response.batch import Batch
from services.escalation.response.domain import Action
from services.escalation.response.respond import act
from shared.events.cloudevents import CloudEvent, Malformed, from_record
from shared.events.commands import AcknowledgeIncident, Command, ResolveIncident
from shared.events.escalation import ResponseStarted
from shared.events.facts import Event, first_problem, read_fact
from shared.events.trace_context import TraceContext, new_trace
from shared.events.triage import IncidentSubsided, TriageFact
from shared.kafka.record import Record
from shared.postgres.connection import Connection
from shared.runtime.clock import Clock, seconds_since
from shared.telemetry import measure, span
from shared.telemetry.attributes import INCIDENT_ID

_COMMANDS: dict[str, tuple[type[Command], Action]] = {
    AcknowledgeIncident.type: (AcknowledgeIncident, "acknowledge"),
    ResolveIncident.type: (ResolveIncident, "resolve"),
}


class Handlers:
    """The plumbing has opened the transaction, and commits it with the offsets."""

    def __init__(self, teams: CurrentTeams, clock: Clock) -> None:
        self._teams = teams
        self._clock = clock

    async def on_triage(self, connection: Connection, records: Sequence[Record]) -> None:
        """Start responses, keep them up to date, end those that cleared at the source."""
        events = [
            event
            for record in records
            if (event := read_fact(record)) and isinstance(event.data, TriageFact)
        ]
        batch = await Batch.load(connection, [event.subject for event in events], self._clock())
        for event in events:
            self._fold(batch, event)
        await batch.save(connection)

    def _fold(self, batch: Batch, event: Event) -> None:
        incident = batch.incident(event.subject)
        parent = event.trace or batch.trace(event.subject) or new_trace()
        over = isinstance(event.data, IncidentSubsided)
        declared = spans.RESOLVE if over else spans.RESPOND if incident else spans.ESCALATE
        with span(declared, parent, {INCIDENT_ID: str(event.subject)}) as here:
            decision = domain.on_triage(
                incident, event, self._teams(), batch.now, batch.unsent(event.subject)
            )
            batch.apply(event.subject, decision, here or parent)
        if any(isinstance(fact, ResponseStarted) for fact in decision.facts):
            measure(metrics.STAGES, seconds_since(event.time, batch.now), "escalate", trace=here)

    async def on_command(self, connection: Connection, records: Sequence[Record]) -> None:
        """Acknowledge and resolve on the order of another system."""
        orders = [_order(from_record(record)) for record in records]
        batch = await Batch.load(
            connection, [command.incident_id for command, _, _ in orders], self._clock()
        )
        for command, action, caller in orders:
            if batch.incident(command.incident_id) is None:
                raise Malformed("data.incident_id", f"there is no incident {command.incident_id}")
            act(batch, command.incident_id, action, command.by, "topic", command.note, caller)
        await batch.save(connection)


def _order(envelope: CloudEvent) -> tuple[Command, Action, TraceContext | None]:
    if envelope.type not in _COMMANDS:
        raise Malformed("type", f"{envelope.type} is no command; known are {', '.join(_COMMANDS)}")
    command, action = _COMMANDS[envelope.type]
    try:
        return command.model_validate(envelope.data), action, envelope.trace
    except ValidationError as error:
        raise first_problem(error, "data") from None
