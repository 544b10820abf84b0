"""Orders to acknowledge or resolve, whoever gives them."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, assert_never
from uuid import UUID

from services.escalation.policies.domain.description import describe_remaining
from services.escalation.policies.domain.page_order import PageOrder
from services.escalation.response.domain.incident import Decision, Incident
from shared.events.escalation import IncidentAcknowledged, IncidentResolved, Response, Via
from shared.events.trace_context import TraceContext

Action = Literal["acknowledge", "resolve"]


@dataclass(frozen=True, slots=True)
class Order:
    """Do `action`. `caller` is the trace of the request, if it has one."""

    action: Action
    by: str
    via: Via
    note: str | None = None
    caller: TraceContext | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """The result of an order: the incident after it, what was done (or was already so) in words,
    and the pages and steps that it cancelled.
    """

    incident: Incident
    said: str
    acted: bool
    cancelled: list[str]


Respond = Callable[[UUID | int, Order], Awaitable[Answer | None]]
"""Carries out an order about the incident with this id or number; None: there is no such incident.
When it returns, the result is committed: no page starts from then on.
"""


def obey(
    incident: Incident, order: Order, now: datetime, unsent: Sequence[PageOrder] = ()
) -> Decision:
    """Acknowledge or resolve. `unsent` are the pages that have not gone out: they are cancelled."""
    match order.action:
        case "acknowledge":
            return acknowledge(incident, order.by, order.via, now, unsent)
        case "resolve":
            return resolve(incident, order.by, order.via, now, order.note, unsent)
        case _:
            assert_never(order.action)


def acknowledge(
    incident: Incident, by: str, via: Via, now: datetime, unsent: Sequence[PageOrder] = ()
) -> Decision:
    """A responder takes it, and paging stops."""
    response = incident.response
    if response.status == "resolved":
        return _refused(incident, _already_resolved(response))
    if response.status == "acknowledged":
        return _refused(incident, f"already acknowledged by {response.acknowledged_by}")
    taken = incident.changed(
        None,
        status="acknowledged",
        acknowledged_at=now,
        acknowledged_by=by,
        waiting_on=f"{by} to resolve it, or the source to clear",
    )
    cancelled = _cancelled(incident, unsent)
    fact = IncidentAcknowledged(response=taken.response, by=by, via=via, cut=cancelled)
    return Decision(taken, (fact,), said=f"acknowledged by {by}")


def resolve(
    incident: Incident,
    by: str,
    via: Via,
    now: datetime,
    note: str | None = None,
    unsent: Sequence[PageOrder] = (),
) -> Decision:
    """The response ends, acknowledged or not."""
    if incident.response.status == "resolved":
        return _refused(incident, _already_resolved(incident.response))
    done = incident.changed(
        None, status="resolved", resolved_at=now, resolved_by=by, resolution=note, waiting_on=""
    )
    cancelled = _cancelled(incident, unsent)
    fact = IncidentResolved(response=done.response, by=by, via=via, cut=cancelled)
    return Decision(done, (fact,), said=f"resolved by {by}")


def answer(decision: Decision) -> Answer:
    """The answer to whoever gave the order."""
    cancelled: list[str] = []
    for fact in decision.facts:
        if isinstance(fact, IncidentAcknowledged | IncidentResolved):
            cancelled += fact.cut
    return Answer(decision.incident, decision.said, decision.acted, cancelled)


def _cancelled(incident: Incident, unsent: Sequence[PageOrder]) -> list[str]:
    pages = [f"page to {page.user} by {page.method} (step {page.step})" for page in unsent]
    if incident.due is None:
        return pages
    return pages + describe_remaining(incident.policy, incident.due.position)


def _refused(incident: Incident, said: str) -> Decision:
    return Decision(incident, said=said, acted=False)


def _already_resolved(response: Response) -> str:
    return f"already resolved by {response.resolved_by}"
