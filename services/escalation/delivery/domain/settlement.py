"""The result of an attempt: the page was sent, is tried again, or is given up for the next method,
or for the next step.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from services.escalation.delivery.domain.failure import Failure, next_wait
from services.escalation.policies.domain.page_order import PageOrder
from services.escalation.policies.policy import Teams
from services.escalation.response.domain.escalation import (
    PageResult,
    end_failed_step,
    try_next_method,
)
from services.escalation.response.domain.incident import Decision, Incident, PageStatus
from shared.events.escalation import Page, PageFailed, PageSent
from shared.events.trace_context import TraceContext

Receiver = tuple[str, str]
"""A user and a method: what can be slow by itself."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A page that one process may send until `lease_ends`, as its attempt number `attempts`."""

    order: PageOrder
    attempts: int
    possible_duplicate: bool
    lease_ends: datetime
    trace: TraceContext | None
    incident: Incident

    @property
    def receiver(self) -> Receiver:
        """Where it goes."""
        return self.order.user, self.order.method


class Result(NamedTuple):
    """What came of an attempt, `at` the instant when it ended, in its span."""

    claim: Claim
    failure: Failure | None
    trace: TraceContext
    at: datetime


@dataclass(frozen=True, slots=True)
class Settled:
    """What changes in the row of a page that was claimed as attempt number `attempts`. `due_at` is
    when the next attempt of a pending page is.
    """

    attempt_key: str
    attempts: int
    status: PageStatus
    due_at: datetime
    error: str | None
    possible_duplicate: bool
    sent_at: datetime | None = None


def settle(
    incident: Incident,
    claim: Claim,
    failure: Failure | None,
    others: Sequence[PageResult],
    teams: Teams,
    now: datetime,
    jitter: float,
) -> tuple[Settled, Decision]:
    """The page's new row, and the decision about its incident as it is now: somebody may have taken
    it meanwhile. `others` are the other pages of the incident's current step, as they stand now.
    """
    if failure is None:
        row, sent = arrived(incident, claim, now)
        return row, Decision(incident, (sent,))
    wait = next_wait(failure, claim.attempts, jitter) if incident.triggered else None
    duplicate = claim.possible_duplicate or (failure.uncertain and wait is not None)
    page, error = _page(claim, duplicate), failure.error
    failed = PageFailed(response=incident.response, page=page, error=error, final=wait is None)
    if wait is not None:
        due_at = now + wait
        row = Settled(
            page.attempt_key, claim.attempts, PageStatus.PENDING, due_at, error, duplicate
        )
        return row, Decision(incident, (failed,))
    status = PageStatus.FAILED if incident.triggered else PageStatus.CANCELLED
    following = _after_failure(incident, claim.order, error, others, teams, now)
    decision = Decision(
        following.incident, (failed, *following.facts), following.pages, following.timer
    )
    row = Settled(page.attempt_key, claim.attempts, status, now, error, duplicate)
    return row, decision


def arrived(incident: Incident, claim: Claim, now: datetime) -> tuple[Settled, PageSent]:
    """The new row of a page that arrived, and the fact of it. Nothing else follows."""
    page = _page(claim, claim.possible_duplicate)
    row = Settled(
        page.attempt_key,
        claim.attempts,
        PageStatus.SENT,
        due_at=now,
        error=None,
        possible_duplicate=page.possible_duplicate,
        sent_at=now,
    )
    return row, PageSent(response=incident.response, page=page, sent_at=now)


def _after_failure(
    incident: Incident,
    order: PageOrder,
    error: str,
    others: Sequence[PageResult],
    teams: Teams,
    now: datetime,
) -> Decision:
    """What follows a page that failed for good."""
    following = try_next_method(incident, order, teams)
    if following is not None:
        return Decision(incident, pages=(following,))
    if order.position != incident.position:
        return Decision(incident, acted=False)
    pages = [*others, PageResult(order, PageStatus.FAILED, error)]
    return end_failed_step(incident, pages, teams, now)


def _page(claim: Claim, possible_duplicate: bool) -> Page:
    values = claim.order.values()
    return Page(**values, attempts=claim.attempts, possible_duplicate=possible_duplicate)
