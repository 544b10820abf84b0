"""Escalation in memory: the real decisions about responses and pages; the ledger is a dict."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from services.escalation.delivery.domain.failure import Failure
from services.escalation.delivery.domain.settlement import Claim, settle
from services.escalation.policies.domain.page_order import PageOrder, Position
from services.escalation.policies.policy import Teams
from services.escalation.response.domain.escalation import PageResult, fire
from services.escalation.response.domain.incident import Decision, Incident, PageStatus
from services.escalation.response.domain.orders import acknowledge, resolve
from services.escalation.response.domain.triage import on_triage
from shared.events.facts import Event, new_event, next_sequence
from shared.policy.files import PolicyFile
from shared.postgres.timers import Timer


@dataclass(frozen=True, slots=True)
class Delivery:
    """A page's row in the ledger."""

    order: PageOrder
    due_at: datetime
    status: str = "pending"
    attempts: int = 0
    possible_duplicate: bool = False
    error: str | None = None


class Escalation:
    def __init__(self, publish: Callable[[Event], None], teams: PolicyFile[Teams]) -> None:
        self.publish, self.teams, self.epoch = publish, teams, 0
        self.incidents: dict[UUID, Incident] = {}
        self.sequences: dict[UUID, int] = {}
        self.ledger: dict[str, Delivery] = {}
        self.timers: list[Timer] = []
        self.claims: list[Claim] = []

    def on_triage(self, events: Sequence[Event], now: datetime) -> None:
        for event in events:
            known = self.incidents.get(event.subject)
            decision = on_triage(known, event, self.teams, now, self._unsent(event.subject))
            self._apply(event.subject, decision, now)

    def fire(self, timers: Sequence[Timer], now: datetime) -> None:
        for timer in timers:
            at = timer.payload
            position = Position(at["round"], at["step"])
            decision = fire(self.incidents[timer.subject], position, self.teams.content, now)
            self._apply(timer.subject, decision, now)

    def choose(self, place: int) -> UUID:
        """Choose an incident to act on; an unresolved one if there is any."""
        going = [
            key
            for key, incident in self.incidents.items()
            if incident.response.status != "resolved"
        ]
        keys = going or list(self.incidents)
        return keys[place % len(keys)]

    def acknowledge(self, key: UUID, now: datetime) -> None:
        self._apply(
            key, acknowledge(self.incidents[key], "ana", "link", now, self._unsent(key)), now
        )

    def resolve(self, key: UUID, now: datetime) -> None:
        self._apply(
            key, resolve(self.incidents[key], "ana", "api", now, None, self._unsent(key)), now
        )

    def claimable(self, now: datetime) -> list[Delivery]:
        """Due pages of incidents that nobody has acknowledged."""
        rows = [
            row for row in self.ledger.values() if row.status == "pending" and row.due_at <= now
        ]
        return [
            row
            for row in rows
            if self.incidents[row.order.incident_id].response.status == "triggered"
        ]

    def claim(self, row: Delivery, now: datetime) -> None:
        taken = replace(row, status="sending", attempts=row.attempts + 1)
        self.ledger[row.order.attempt_key] = taken
        incident = self.incidents[row.order.incident_id]
        self.claims.append(
            Claim(row.order, taken.attempts, taken.possible_duplicate, now, None, incident)
        )

    def record(self, claim: Claim, failure: Failure | None, now: datetime) -> None:
        """Settle a claimed page; its incident may have changed since."""
        self.claims.remove(claim)
        key = claim.order.incident_id
        incident = self.incidents[key]
        settled, decision = settle(
            incident, claim, failure, self._others(incident, claim), self.teams.content, now, 0.5
        )
        self.ledger[settled.attempt_key] = replace(
            self.ledger[settled.attempt_key],
            status=settled.status,
            due_at=settled.due_at,
            possible_duplicate=settled.possible_duplicate,
            error=settled.error,
        )
        self._apply(key, decision, now)

    def _others(self, incident: Incident, claim: Claim) -> list[PageResult]:
        """The other pages of the current step."""
        return [
            PageResult(row.order, PageStatus(row.status), row.error)
            for row in self.ledger.values()
            if row.order.incident_id == incident.id
            and row.order.position == incident.position
            and row.order != claim.order
        ]

    def _unsent(self, key: UUID) -> list[PageOrder]:
        rows = [
            row
            for row in self.ledger.values()
            if row.order.incident_id == key and row.status == "pending"
        ]
        return [row.order for row in rows]

    def _apply(self, key: UUID, decision: Decision, now: datetime) -> None:
        for fact in decision.facts:
            self.sequences[key] = next_sequence(self.sequences.get(key, 0), self.epoch)
            self.publish(new_event(key, self.sequences[key], now, fact, None))
        self.incidents[key] = decision.incident
        for page in decision.pages:
            self.ledger.setdefault(page.attempt_key, Delivery(page, now))
        if decision.incident.response.status != "triggered":
            for page in self._unsent(key):
                self.ledger[page.attempt_key] = replace(self.ledger[page.attempt_key], status="cut")
        if decision.timer:
            payload = {"round": decision.timer.round, "step": decision.timer.step}
            self.timers.append(Timer("step", key, decision.timer.due_at, payload))
