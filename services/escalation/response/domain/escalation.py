"""Steps of the policy: a timer begins one, or the failure of every page of the one before."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from services.escalation.policies.domain.description import describe_plan
from services.escalation.policies.domain.page_order import PageOrder, Position, page_order
from services.escalation.policies.domain.walk import RETRY, SLOW_ROUND, Walk, describe_instant, walk
from services.escalation.policies.policy import Teams
from services.escalation.response.domain.incident import Decision, Due, Incident, PageStatus
from shared.events.escalation import IncidentEscalated, ResponseStarted


@dataclass(frozen=True, slots=True)
class PageResult:
    """Where a page stands, and why its last attempt failed."""

    order: PageOrder
    status: PageStatus
    error: str | None = None


def start(incident: Incident, notes: Sequence[str], teams: Teams, now: datetime) -> Decision:
    """Begin the response at step 1, or at once at the first step that reaches somebody."""
    begun = _advance(incident, walk(incident.policy, Position(1, 1), teams, now), teams)
    plan = describe_plan(incident.policy, notes)
    started = ResponseStarted(response=begun.incident.response, plan=plan)
    return Decision(begun.incident, (started, *begun.facts), begun.pages, begun.timer)


def fire(incident: Incident, at: Position, teams: Teams, now: datetime) -> Decision:
    """A timer is due: its step begins. A stale timer does nothing."""
    if not incident.triggered or incident.due is None or incident.due.position != at:
        return Decision(incident, acted=False)
    return _advance(incident, walk(incident.policy, at, teams, now), teams)


def try_next_method(incident: Incident, failed: PageOrder, teams: Teams) -> PageOrder | None:
    """The page by the user's next method after one that failed for good, while the incident still
    waits for somebody.
    """
    user = teams.users.get(failed.user)
    methods = user.methods if user else ()
    if not incident.triggered or failed.method not in methods[:-1]:
        return None
    following = methods[methods.index(failed.method) + 1]
    why = (*failed.why, f"{failed.method} failed for good: {following} is tried")
    return page_order(incident.id, failed.position, failed.user, following, why)


def end_failed_step(
    incident: Incident, pages: Sequence[PageResult], teams: Teams, now: datetime
) -> Decision:
    """Begin the next step at once when every page of the current one has failed for good.

    `pages` are all of the current step, over its users and their methods. A new round never begins
    at once: a policy whose every page fails would go round without end.
    """
    due = incident.due
    over = bool(pages) and all(page.status is PageStatus.FAILED for page in pages)
    if not over or not incident.triggered or due is None or due.again:
        return Decision(incident, acted=False)
    causes = ", ".join(f"{page.order.user} by {page.order.method} ({page.error})" for page in pages)
    step = incident.response.step
    failed = f"step {step}: no page arrived: {causes}"
    found = None if due.step == 1 else walk(incident.policy, due.position, teams, now)
    if found is None or (found.begun and found.begun.round != due.round):
        return _pause(incident, due, failed, now)
    return _advance(incident, found, teams, failed)


def _pause(incident: Incident, due: Due, failed: str, now: datetime) -> Decision:
    """Wait before the next round, though nobody was reached in the rest of this one."""
    then = due.position if due.step == 1 else Position(due.round + 1, 1)
    if then.round <= incident.policy.policy.rounds:
        at = min(due.due_at, now + RETRY)
    else:
        at = due.due_at if due.step == 1 else now + SLOW_ROUND
    timer = Due(due_at=at, round=then.round, step=then.step)
    step = incident.response.step
    waiting_on = (
        f"step {then.step} of round {then.round}, which begins at {describe_instant(at)}; "
        f"no page of step {step} arrived"
    )
    paused = incident.changed(timer, waiting_on=waiting_on)
    fact = IncidentEscalated(response=paused.response, paged=[], skipped=[failed])
    return Decision(paused, (fact,), timer=timer)


def _advance(incident: Incident, found: Walk, teams: Teams, failed: str = "") -> Decision:
    """Take on what following the policy found; `failed` says why the step before is over early."""
    due = Due(
        due_at=found.due, round=found.then.round, step=found.then.step, again=found.unreachable
    )
    waiting_on = found.waiting_on
    if failed:
        waiting_on += f"; no page of step {incident.response.step} arrived"
    begun = {"round": found.begun.round, "step": found.begun.step} if found.begun else {}
    moved = incident.changed(due, waiting_on=waiting_on, **begun)
    skipped = [*([failed] if failed else []), *found.skipped]
    # A search that reaches nobody is repeated every few minutes, and published once.
    repeated = incident.due is not None and incident.due.again
    publish = bool(found.reached) or (bool(skipped) and not repeated)
    fact = IncidentEscalated(response=moved.response, paged=list(found.reached), skipped=skipped)
    pages = [
        page_order(incident.id, found.begun, user, teams.users[user].methods[0], why)
        for user, why in found.reached.items()
        if found.begun
    ]
    return Decision(moved, (fact,) if publish else (), tuple(pages), due)
