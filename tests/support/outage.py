"""The facts of one outage, as intake, triage and escalation publish them, for tests of readers."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from shared.events import escalation, intake, triage
from shared.events.facts import Event, Fact, new_event
from shared.events.ids import uuid7
from shared.events.trace_context import TraceContext, new_trace

OPENED = datetime(2026, 3, 3, 10, 0, tzinfo=UTC)


GROUP: dict[str, Any] = {
    "alerts_total": 800,
    "alerts_unlisted": 5,
    "alerts": [
        intake.ReportedAlert(key=host, status=status, summary=f"disk full on {host}")
        for host, status in (("web-1", "resolved"), ("web-2", "firing"), ("web-3", "firing"))
    ],
    "acknowledged_by": "cleo",
    "flapping": True,
}
"""What intake's report says of many alerts."""


@dataclass
class Outage:
    """An incident of a service, opened at `opened`. Each method is one fact, published `minutes`
    later.
    """

    number: int = 1042
    opened: datetime = OPENED
    summary: str = "checkout answers 5xx"
    service: str = "checkout"
    synthetic: bool = False
    team: str = "payments"
    priority: str = "P1"
    links: Sequence[str] = ("https://grafana.example/d/checkout",)
    alerts: dict[str, Any] = field(default_factory=dict)
    """What intake's report says of the alerts, by the names of its fields."""
    incident_id: UUID = field(default_factory=uuid7)
    trace: TraceContext = field(default_factory=new_trace)
    _sequences: dict[str, int] = field(default_factory=dict)
    _signals: int = 1
    _cleared: datetime | None = None
    _response: dict[str, Any] = field(default_factory=dict)

    def reported(self, minutes: float = 0) -> Event:
        """A signal opened the incident."""
        return self._event(intake.IncidentReported(incident=self._incident()), minutes)

    def updated(self, minutes: float, signals: int = 40) -> Event:
        """More signals joined."""
        self._signals = signals
        return self._event(
            intake.IncidentUpdated(incident=self._incident(), changed=["signal_count"]), minutes
        )

    def cleared(self, minutes: float) -> Event:
        """The alert has resolved at its source."""
        self._cleared = self.opened + timedelta(minutes=minutes)
        fact = intake.IncidentCleared(incident=self._incident(), reason="resolved at the source")
        return self._event(fact, minutes)

    def triaged(self, minutes: float = 0.01) -> Event:
        """Triage assigned a priority and an owner."""
        return self._event(triage.IncidentTriaged(triage=self._triage()), minutes)

    def confirmed(self, minutes: float) -> Event:
        """Triage was repeated with the same result."""
        return self._event(triage.TriageConfirmed(triage=self._triage()), minutes)

    def started(self, minutes: float = 0.02) -> Event:
        """The response started."""
        plan = [
            "step 1: schedule payments-primary; then 15 s to acknowledge",
            "step 2: user ben; then 15 s",
        ]
        return self._event(
            escalation.ResponseStarted(response=self._state(step=1), plan=plan), minutes
        )

    def escalated(self, minutes: float, step: int, user: str) -> Event:
        """A step of the policy started."""
        waiting = (
            f"{user} to acknowledge; step {step + 1} of round 1 begins at 2026-03-03 10:15:00Z"
        )
        response = self._state(step=step, waiting_on=waiting)
        return self._event(
            escalation.IncidentEscalated(response=response, paged=[user], skipped=[]), minutes
        )

    def paged(
        self, minutes: float, user: str = "ana", method: str = "webhook", step: int = 1
    ) -> Event:
        """A page was delivered."""
        sent_at = self.opened + timedelta(minutes=minutes)
        page = self._page(user, method, step)
        return self._event(
            escalation.PageSent(response=self._state(), page=page, sent_at=sent_at), minutes
        )

    def page_failed(
        self, minutes: float, user: str = "ana", method: str = "webhook", final: bool = False
    ) -> Event:
        """A page failed."""
        page = self._page(user, method, 1)
        fact = escalation.PageFailed(
            response=self._state(), page=page, error="HTTP 500", final=final
        )
        return self._event(fact, minutes)

    def acknowledged(self, minutes: float, by: str = "Ana") -> Event:
        """A responder acknowledged."""
        at = self.opened + timedelta(minutes=minutes)
        response = self._state(
            status="acknowledged", acknowledged_at=at, acknowledged_by=by, waiting_on=by
        )
        fact = escalation.IncidentAcknowledged(
            response=response, by=by, via="link", cut=["step 2: user ben"]
        )
        return self._event(fact, minutes)

    def resolved(self, minutes: float, by: str = "source") -> Event:
        """The response ended."""
        at = self.opened + timedelta(minutes=minutes)
        response = self._state(
            status="resolved",
            resolved_at=at,
            resolved_by=by,
            resolution="rolled back",
            waiting_on="",
        )
        fact = escalation.IncidentResolved(
            response=response, by=by, via="source" if by == "source" else "api", cut=[]
        )
        return self._event(fact, minutes)

    def _event(self, fact: Fact, minutes: float) -> Event:
        self._sequences[fact.topic] = self._sequences.get(fact.topic, 0) + 1
        at = self.opened + timedelta(minutes=minutes)
        return new_event(self.incident_id, self._sequences[fact.topic], at, fact, self.trace)

    def _incident(self) -> intake.ReportedIncident:
        return intake.ReportedIncident(
            incident_id=self.incident_id,
            number=self.number,
            status="cleared" if self._cleared else "open",
            fingerprint="checkout-5xx",
            source="alertmanager",
            summary=self.summary,
            severity=intake.Severity.CRITICAL,
            service=self.service,
            labels={"alertname": "HighErrorRate", "region": "eu-1"},
            annotations={"description": "5xx above 5 % for 2 min"},
            links=list(self.links),
            signal_count=self._signals,
            alerts_firing=0 if self._cleared else 1,
            started_at=self.opened,
            opened_at=self.opened,
            last_signal_at=self.opened,
            cleared_at=self._cleared,
        ).model_copy(update=self.alerts)

    def _triage(self) -> triage.TriagedIncident:
        return triage.TriagedIncident(
            incident=self._incident(),
            intake_sequence=self._sequences.get(intake.TOPIC, 0),
            impact="high",
            urgency="high",
            priority=triage.Priority(self.priority),
            team=self.team,
            service_known=True,
            tier=1,
            runbook="https://runbooks.example/checkout",
            synthetic=self.synthetic,
            reasons=["service checkout is tier 1: impact high", "severity critical: urgency high"],
            policy_version="3f2a9c1d00aa",
        )

    def _state(self, **changes: Any) -> escalation.Response:
        self._response = {
            "incident_id": self.incident_id,
            "number": self.number,
            "status": "triggered",
            "priority": self.priority,
            "team": self.team,
            "summary": self.summary,
            "service": self.service,
            "step": 1,
            "round": 1,
            "waiting_on": "ana to acknowledge",
            "started_at": self.opened,
            **self._response,
            **changes,
            "intake_sequence": self._sequences.get(intake.TOPIC, 0),
            "triage_sequence": self._sequences.get(triage.TOPIC, 0),
            "policy_version": "77aa01bc44de",
        }
        return escalation.Response.model_validate(self._response)

    def _page(self, user: str, method: str, step: int) -> escalation.Page:
        return escalation.Page.model_validate(
            {
                "attempt_key": f"{self.incident_id}.1.{step}.{user}.{method}",
                "user": user,
                "method": method,
                "step": step,
                "round": 1,
                "attempts": 1,
                "why": [
                    f"step {step} of policy payments, round 1: "
                    "schedule payments-primary, on call Tue 09:00 - Wed 09:00"
                ],
            }
        )


def change(service: str = "checkout", made_at: datetime = OPENED, version: str = "v41") -> Event:
    """A deployment was recorded."""
    fact = intake.Change(
        change_id=uuid7(),
        source="ci",
        kind="deployment",
        summary="new payment client",
        service=service,
        version=version,
        made_at=made_at,
        received_at=made_at,
    )
    return new_event(fact.change_id, 1, made_at, intake.ChangeRecorded(change=fact), new_trace())
