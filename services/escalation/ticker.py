"""Due timers: a step of a policy begins."""

from collections.abc import Sequence

from services.escalation import spans
from services.escalation.policies.policy import CurrentTeams
from services.escalation.response import domain
from services.escalation.response.batch import Batch
from services.escalation.spans import STEP
from shared.postgres.connection import Connection
from shared.postgres.timers import Timer
from shared.runtime.clock import Clock
from shared.telemetry import span
from shared.telemetry.attributes import INCIDENT_ID


class Steps:
    """The ticker has claimed the timers in the transaction that this works in: after a crash they
    are due again.
    """

    def __init__(self, teams: CurrentTeams, clock: Clock) -> None:
        self._teams = teams
        self._clock = clock

    async def fire(self, connection: Connection, timers: Sequence[Timer]) -> None:
        """Begin the steps that are due; a timer that its incident has moved past does nothing."""
        batch = await Batch.load(connection, [timer.subject for timer in timers], self._clock())
        for timer in timers:
            incident, trace = batch.incident(timer.subject), batch.trace(timer.subject)
            if incident is None or trace is None:
                raise LookupError(f"there is no incident {timer.subject}")
            round, step = timer.payload["round"], timer.payload["step"]
            decision = domain.fire(incident, round, step, self._teams().content, batch.now)
            if not decision.acted:
                continue
            with span(spans.ESCALATE, trace, {INCIDENT_ID: str(timer.subject), STEP: step}) as here:
                batch.apply(timer.subject, decision, here or trace)
        await batch.save(connection)
