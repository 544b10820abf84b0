"""A response as it is stored, and what a decision changes."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from services.escalation.policies.domain.page_order import PageOrder, Position
from services.escalation.policies.domain.snapshot import Snapshot
from services.escalation.response.domain.alerts import Alerts
from shared.events.escalation import Response
from shared.events.facts import Fact, Model


class PageStatus(StrEnum):
    """Where a page of the ledger stands."""

    PENDING = "pending"
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"
    CANCELLED = "cut"


class Due(Model):
    """The timer of an incident: at `due_at`, step `step` of round `round` begins. `again`: no step
    has reached anybody, and this is another try.
    """

    due_at: datetime
    round: int
    step: int
    again: bool = False

    @property
    def position(self) -> Position:
        """The step that begins."""
        return Position(self.round, self.step)


class Incident(Model):
    """The whole state of a response. `policy` is a snapshot: edits of the file do not change a
    running response. `opened_at` is when intake opened the incident.
    """

    response: Response
    policy: Snapshot
    due: Due | None = None
    runbook: str | None = None
    opened_at: datetime | None = None
    alerts: Alerts = Alerts()

    @property
    def id(self) -> UUID:
        """The incident's id."""
        return self.response.incident_id

    @property
    def triggered(self) -> bool:
        """Whether it waits for somebody to take it."""
        return self.response.status == "triggered"

    @property
    def position(self) -> Position:
        """The step that began last."""
        return Position(self.response.round, self.response.step)

    def changed(self, due: Due | None, **response: Any) -> "Incident":
        """The incident with another timer and these fields of the response."""
        changed = self.response.model_copy(update=response)
        return self.model_copy(update={"response": changed, "due": due})


@dataclass(frozen=True, slots=True)
class Decision:
    """The result of an event. `timer` is a new timer to insert; timers are never cancelled, and
    stale ones are ignored.

    `said` answers whoever gave an order; `acted` is False when the event changed nothing.
    """

    incident: Incident
    facts: tuple[Fact, ...] = ()
    pages: tuple[PageOrder, ...] = ()
    timer: Due | None = None
    said: str = ""
    acted: bool = True
