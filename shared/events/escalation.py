"""Facts of escalation, topic `tocsin.escalation.v1`: who was paged, and what they did."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from shared.events.facts import Fact, Model
from shared.events.triage import Priority

TOPIC = "tocsin.escalation.v1"

Via = Literal["api", "topic", "link", "source", "reclassification"]
"""How an order came in. In facts it is any text: more values will come, and a reader of an older
version must not refuse a fact because of one.
"""


class Response(Model):
    """The state of the response after the event.

    `intake_sequence` and `triage_sequence` are the newest of each producer that it has seen.
    `waiting_on` names the timer, person or source that moves it next, so that no incident can stall
    unseen.
    """

    incident_id: UUID
    number: int
    status: Literal["triggered", "acknowledged", "resolved"]
    priority: Priority
    team: str
    summary: str
    service: str | None = None
    step: int
    round: int
    waiting_on: str
    started_at: datetime
    acknowledged_at: datetime | None = None
    acknowledged_by: str | None = None
    resolved_at: datetime | None = None
    resolved_by: str | None = None
    resolution: str | None = None
    intake_sequence: int
    triage_sequence: int
    policy_version: str


class Page(Model):
    """One notification of one person by one method (`webhook`, `email`; more will come).

    `attempt_key` stays the same over every retry.
    """

    attempt_key: str
    user: str
    method: str
    step: int
    round: int
    attempts: int
    why: list[str]
    possible_duplicate: bool = False


class ResponseStarted(Fact, topic=TOPIC):
    """A response began. `plan` says in words who will be paged and when, under the policy of that
    time.
    """

    response: Response
    plan: list[str]


class IncidentEscalated(Fact, topic=TOPIC):
    """A step of the policy began. `paged` are the users who are paged; `skipped` says which targets
    reach no one, and why.
    """

    response: Response
    paged: list[str]
    skipped: list[str]


class PageSent(Fact, topic=TOPIC):
    """The receiver confirmed the page (HTTP 2xx, SMTP 250)."""

    response: Response
    page: Page
    sent_at: datetime


class PageFailed(Fact, topic=TOPIC):
    """A page did not arrive. `final` means that no retry follows and the next method was used, if
    there was one.
    """

    response: Response
    page: Page
    error: str
    final: bool


class IncidentAcknowledged(Fact, topic=TOPIC):
    """A responder took it. `cut` names the pages and steps that are cancelled by it."""

    response: Response
    by: str
    via: str
    cut: list[str]


class IncidentResolved(Fact, topic=TOPIC):
    """The response ended. It acted on `response.intake_sequence`: a later signal opens a new
    incident.
    """

    response: Response
    by: str
    via: str
    cut: list[str]
