"""People and systems act on one incident: acknowledge, resolve. By whichever way it comes, it is
done here.
"""

from dataclasses import dataclass
from uuid import UUID

from services.escalation import spans
from services.escalation.response import domain, store
from services.escalation.response.batch import Batch
from services.escalation.response.domain import Action, Decision, Incident
from services.escalation.spans import VIA
from shared.events.escalation import IncidentAcknowledged, IncidentResolved, Via
from shared.events.trace_context import TraceContext
from shared.postgres.database import Database
from shared.runtime.clock import Clock
from shared.telemetry import span
from shared.telemetry.attributes import INCIDENT_ID


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of an order: the incident after it, in words what was done or already so, and what
    was cut.
    """

    incident: Incident
    said: str
    acted: bool
    cut: list[str]


def act(
    batch: Batch,
    id: UUID,
    action: Action,
    by: str,
    via: Via,
    note: str | None,
    caller: TraceContext | None,
) -> Decision:
    """Decide and take on. The span belongs to the incident's trace; whoever ordered it is linked."""
    incident, trace = batch.incident(id), batch.trace(id)
    assert incident is not None and trace is not None  # noqa: S101, PT018 - the caller has looked
    declared = spans.ACKNOWLEDGE if action == "acknowledge" else spans.RESOLVE
    with span(
        declared, trace, {INCIDENT_ID: str(id), VIA: via}, links=[caller] if caller else []
    ) as here:
        if action == "acknowledge":
            decision = domain.acknowledge(incident, by, via, batch.now, batch.unsent(id))
        else:
            decision = domain.resolve(incident, by, via, batch.now, note, batch.unsent(id))
        batch.apply(id, decision, here or trace)
    return decision


async def respond(
    database: Database,
    clock: Clock,
    reference: UUID | int,
    action: Action,
    *,
    by: str,
    via: Via,
    note: str | None = None,
    caller: TraceContext | None = None,
) -> Answer | None:
    """Act in a transaction of its own; None when there is no such incident. When it returns, it is
    committed: no page starts from here on, and a crash loses neither the act nor its event.
    """
    async with database.transaction() as connection:
        id = await store.find_incident(connection, reference)
        if id is None:
            return None
        batch = await Batch.load(connection, [id], clock())
        decision = act(batch, id, action, by, via, note, caller)
        await batch.save(connection)
    ends = [
        fact for fact in decision.facts if isinstance(fact, IncidentAcknowledged | IncidentResolved)
    ]
    cut = [line for fact in ends for line in fact.cut]
    return Answer(decision.incident, decision.said, decision.acted, cut)
