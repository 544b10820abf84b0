"""The response to an incident as frozen state and pure decisions: who is paged next, and when
nobody has to be.

A triggered incident always has a `due` step (a timer); an acknowledged one waits on the person who
took it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from services.escalation.policies.domain import (
    PageOrder,
    Position,
    Snapshot,
    page_order,
    plan_in_words,
    remaining_in_words,
    snapshot,
    walk,
)
from services.escalation.policies.policy import Teams
from shared.events.escalation import (
    IncidentAcknowledged,
    IncidentEscalated,
    IncidentResolved,
    Response,
    ResponseStarted,
    Via,
)
from shared.events.facts import Event, Fact, Model
from shared.events.triage import IncidentSubsided, TriagedIncident, TriageFact
from shared.policy.files import PolicyFile

Action = Literal["acknowledge", "resolve"]


class Due(Model):
    """The timer of an incident: at `due_at`, step `step` of round `round` begins. `again`: nobody
    was reached yet.
    """

    due_at: datetime
    round: int
    step: int
    again: bool = False


class Incident(Model):
    """All that is kept of a response. `policy` is a snapshot: edits of the file do not change a
    running response. `opened_at` is when intake opened the incident.
    """

    response: Response
    policy: Snapshot
    due: Due | None = None
    runbook: str | None = None
    opened_at: datetime | None = None

    @property
    def id(self) -> UUID:
        """The incident's id."""
        return self.response.incident_id


@dataclass(frozen=True, slots=True)
class Decision:
    """What follows from an event. `timer` is a new timer to insert; earlier ones stay and will find
    nothing to do.

    `said` answers whoever gave an order; `acted` is False when the order changed nothing.
    """

    incident: Incident
    facts: tuple[Fact, ...] = ()
    pages: tuple[PageOrder, ...] = ()
    timer: Due | None = None
    said: str = ""
    acted: bool = True


def on_triage(
    incident: Incident | None,
    event: Event,
    teams: PolicyFile[Teams],
    now: datetime,
    unsent: Sequence[PageOrder] = (),
) -> Decision:
    """Fold one event of triage into the response; `incident` is None when it is not known yet.

    The highest triage sequence decides what is known of an incident; a clear ends it in whatever
    order it comes. `unsent` are the pages that have not gone out.
    """
    fact = event.data
    assert isinstance(fact, TriageFact)  # noqa: S101 - the handler subscribes to these alone
    over = isinstance(fact, IncidentSubsided) or fact.triage.incident.status != "open"
    if incident is not None:
        incident = refresh(incident, fact.triage, event.sequence)
        return (
            cleared(incident, fact.triage, now, unsent) if over else Decision(incident, acted=False)
        )
    policy, notes = snapshot(teams, fact.triage.team)
    incident = Incident(
        response=_new_response(fact.triage, event.sequence, policy, now),
        policy=policy,
        runbook=fact.triage.runbook,
        opened_at=fact.triage.incident.opened_at,
    )
    return (
        cleared(incident, fact.triage, now) if over else start(incident, notes, teams.content, now)
    )


def start(incident: Incident, notes: Sequence[str], teams: Teams, now: datetime) -> Decision:
    """Begin the response at step 1, or at once at the first step that reaches somebody."""
    begun = _advance(incident, Position(1, 1), teams, now)
    plan = plan_in_words(incident.policy, notes)
    started = ResponseStarted(response=begun.incident.response, plan=plan)
    return Decision(begun.incident, (started, *begun.facts), begun.pages, begun.timer)


def refresh(incident: Incident, triage: TriagedIncident, sequence: int) -> Incident:
    """Take what triage knows now; older news than the newest seen is ignored.

    A resolved incident keeps the intake sequence that its resolution acted on.
    """
    response = incident.response
    if sequence <= response.triage_sequence:
        return incident
    known = _known(triage, sequence)
    if response.status == "resolved":
        del known["intake_sequence"]
    return incident.model_copy(
        update={"response": response.model_copy(update=known), "runbook": triage.runbook}
    )


def cleared(
    incident: Incident, triage: TriagedIncident, now: datetime, unsent: Sequence[PageOrder] = ()
) -> Decision:
    """The source says that it is over: the response ends, acknowledged or not. It acts on what the
    clear had seen.
    """
    if incident.response.status != "resolved":
        seen = incident.response.model_copy(update={"intake_sequence": triage.intake_sequence})
        incident = incident.model_copy(update={"response": seen})
    return resolve(
        incident, by="source", via="source", now=now, note="cleared at the source", unsent=unsent
    )


def fire(incident: Incident, round: int, step: int, teams: Teams, now: datetime) -> Decision:
    """A timer is due: its step begins. A timer that the response has moved past does nothing."""
    due = incident.due
    if (
        incident.response.status != "triggered"
        or due is None
        or (due.round, due.step) != (round, step)
    ):
        return Decision(incident, acted=False)
    return _advance(incident, Position(round, step), teams, now)


def acknowledge(
    incident: Incident, by: str, via: Via, now: datetime, unsent: Sequence[PageOrder] = ()
) -> Decision:
    """A responder takes it and paging stops. `unsent` are the pages that have not gone out: they
    are cut.
    """
    response = incident.response
    if response.status == "resolved":
        return Decision(incident, said=_already_resolved(response), acted=False)
    if response.status == "acknowledged":
        said = f"already acknowledged by {response.acknowledged_by}"
        return Decision(incident, said=said, acted=False)
    cut = _cut(incident, unsent)
    taken = _ended(
        incident,
        status="acknowledged",
        acknowledged_at=now,
        acknowledged_by=by,
        waiting_on=f"{by} to resolve it, or the source to clear",
    )
    fact = IncidentAcknowledged(response=taken.response, by=by, via=via, cut=cut)
    return Decision(taken, (fact,), said=f"acknowledged by {by}")


def resolve(
    incident: Incident,
    by: str,
    via: Via,
    now: datetime,
    note: str | None = None,
    unsent: Sequence[PageOrder] = (),
) -> Decision:
    """The response ends, acknowledged or not. `unsent` are the pages that have not gone out: they
    are cut.
    """
    if incident.response.status == "resolved":
        return Decision(incident, said=_already_resolved(incident.response), acted=False)
    cut = _cut(incident, unsent)
    done = _ended(
        incident, status="resolved", resolved_at=now, resolved_by=by, resolution=note, waiting_on=""
    )
    fact = IncidentResolved(response=done.response, by=by, via=via, cut=cut)
    return Decision(done, (fact,), said=f"resolved by {by}")


def page_failed_for_good(incident: Incident, failed: PageOrder, teams: Teams) -> Decision:
    """A method will not work: the user's next one is tried, while the incident still waits for
    somebody.
    """
    user = teams.users.get(failed.user)
    methods = user.methods if user else ()
    position = methods.index(failed.method) + 1 if failed.method in methods else len(methods)
    if incident.response.status != "triggered" or position >= len(methods):
        return Decision(incident, acted=False)
    why = (*failed.why, f"{failed.method} failed for good: {methods[position]} is tried")
    at = Position(failed.round, failed.step)
    return Decision(
        incident, pages=(page_order(incident.id, at, failed.user, methods[position], why),)
    )


def _advance(incident: Incident, position: Position, teams: Teams, now: datetime) -> Decision:
    found = walk(incident.policy, position, teams, now)
    due = Due(
        due_at=found.due, round=found.then.round, step=found.then.step, again=found.unreachable
    )
    begun = {"round": found.begun.round, "step": found.begun.step} if found.begun else {}
    response = incident.response.model_copy(update={"waiting_on": found.waiting_on, **begun})
    fact = IncidentEscalated(
        response=response, paged=list(found.reached), skipped=list(found.skipped)
    )
    # A fruitless look that is repeated every few minutes is told once.
    told = bool(found.reached) or (
        bool(found.skipped) and not (incident.due and incident.due.again)
    )
    pages = [
        page_order(incident.id, found.begun or position, user, teams.users[user].methods[0], why)
        for user, why in found.reached.items()
    ]
    moved = incident.model_copy(update={"response": response, "due": due})
    return Decision(moved, (fact,) if told else (), tuple(pages), due)


def _cut(incident: Incident, unsent: Sequence[PageOrder]) -> list[str]:
    pages = [f"page to {page.user} by {page.method} (step {page.step})" for page in unsent]
    due = incident.due
    return pages + (
        remaining_in_words(incident.policy, Position(due.round, due.step)) if due else []
    )


def _ended(incident: Incident, **changes: Any) -> Incident:
    return incident.model_copy(
        update={"response": incident.response.model_copy(update=changes), "due": None}
    )


def _already_resolved(response: Response) -> str:
    return f"already resolved by {response.resolved_by}"


def _new_response(
    triage: TriagedIncident, sequence: int, policy: Snapshot, now: datetime
) -> Response:
    return Response(
        incident_id=triage.incident.incident_id,
        number=triage.incident.number,
        status="triggered",
        step=0,
        round=1,
        waiting_on="",
        started_at=now,
        policy_version=policy.version,
        **_known(triage, sequence),
    )


def _known(triage: TriagedIncident, sequence: int) -> dict[str, Any]:
    """What triage decides of a response."""
    return {
        "priority": triage.priority,
        "team": triage.team,
        "summary": triage.incident.summary,
        "service": triage.incident.service,
        "intake_sequence": triage.intake_sequence,
        "triage_sequence": sequence,
    }
