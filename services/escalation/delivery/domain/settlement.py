"""A page in a sender's hands, and what follows from an attempt: sent, tried again, or given up for
the next method.

Pure.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from services.escalation.delivery.domain.outcome import Failure, next_wait
from services.escalation.people.policy import Method
from services.escalation.policies.domain import PageOrder
from services.escalation.policies.policy import Teams
from services.escalation.response import domain
from services.escalation.response.domain import Decision, Incident
from shared.events.escalation import Page, PageFailed, PageSent
from shared.events.trace_context import TraceContext

Receiver = tuple[str, Method]
"""A user and one of the methods: what can be slow by itself."""


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


@dataclass(frozen=True, slots=True)
class Settled:
    """What a claimed page becomes. `due_at` is when the next attempt is, of a `pending` one."""

    attempt_key: str
    status: Literal["pending", "sent", "failed", "cut"]
    due_at: datetime
    error: str | None
    possible_duplicate: bool
    sent_at: datetime | None = None


def settle(
    incident: Incident,
    claim: Claim,
    failure: Failure | None,
    teams: Teams,
    now: datetime,
    jitter: float,
) -> tuple[Settled, Decision]:
    """The page's new row, and the decision about its incident as it is now: it may have been taken
    meanwhile.
    """
    key = claim.order.attempt_key
    if failure is None:
        sent = PageSent(
            response=incident.response, page=_page(claim, claim.possible_duplicate), sent_at=now
        )
        return Settled(key, "sent", now, None, claim.possible_duplicate, now), Decision(
            incident, (sent,)
        )
    triggered = incident.response.status == "triggered"
    wait = next_wait(failure, claim.attempts, jitter) if triggered else None
    duplicate = claim.possible_duplicate or (failure.uncertain and wait is not None)
    page = _page(claim, duplicate)
    failed = PageFailed(
        response=incident.response, page=page, error=failure.error, final=wait is None
    )
    if wait is not None:
        return Settled(key, "pending", now + wait, failure.error, duplicate), Decision(
            incident, (failed,)
        )
    instead = domain.page_failed_for_good(incident, claim.order, teams)
    settled = Settled(key, "failed" if triggered else "cut", now, failure.error, duplicate)
    return settled, Decision(incident, (failed,), instead.pages)


def _page(claim: Claim, possible_duplicate: bool) -> Page:
    order = claim.order
    return Page(
        attempt_key=order.attempt_key,
        user=order.user,
        method=order.method,
        step=order.step,
        round=order.round,
        attempts=claim.attempts,
        why=list(order.why),
        possible_duplicate=possible_duplicate,
    )
