"""Incidents and teams to tell stories with."""

from datetime import UTC, datetime
from uuid import UUID

from services.escalation.policies.domain.page_order import Position
from services.escalation.policies.policy import Teams
from services.escalation.response.domain.incident import Decision, Incident
from services.escalation.response.domain.triage import on_triage
from shared.events.facts import Event, new_event
from shared.events.intake import ReportedIncident, Severity
from shared.events.triage import (
    IncidentSubsided,
    IncidentTriaged,
    IncidentWithdrawn,
    Priority,
    TriageConfirmed,
    TriagedIncident,
    TriageFact,
)
from shared.policy.files import PolicyFile
from tests.support.teams import teams_of

INCIDENT = UUID("01890a5d-ac96-774b-bcce-b302099a8057")

TEAMS = """
default_policy: payments
users:
  ana: {name: Ana, email: ana@example.com, webhook: "https://hooks.example.com/ana"}
  ben:
    {name: Ben, email: ben@example.com, webhook: "https://hooks.example.com/ben",
     methods: [email, webhook]}
  cleo: {name: Cleo, email: cleo@example.com}
teams:
  payments: {policy: payments}
  search: {policy: weekdays}
  office: {policy: mornings}
  ghosts: {policy: ghosts}
schedules:
  payments-primary:
    time_zone: Europe/Berlin
    rotation: weekly
    handoff: Tue 09:00
    start: 2024-10-01
    users: [ana, ben]
  search-days:
    time_zone: Europe/Berlin
    rotation: daily
    handoff: "09:00"
    start: 2024-10-01
    users: [cleo]
    hours: {from: "09:00", to: "17:00", weekdays: [mon, tue, wed, thu, fri]}
policies:
  payments:
    rounds: 2
    steps:
      - {targets: ["schedule:payments-primary"], wait: 15m}
      - {targets: ["user:ben", "user:cleo"], wait: 30m}
  weekdays:
    steps:
      - {targets: ["schedule:search-days"], wait: 15m}
      - {targets: ["user:ana"], wait: 15m}
  mornings:
    steps:
      - targets: ["user:ana"]
        wait: 15m
        hours: {from: "09:00", to: "17:00", time_zone: Europe/Berlin}
  ghosts:
    steps:
      - {targets: ["schedule:search-days"], wait: 15m}
"""


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def teams(text: str = TEAMS) -> PolicyFile[Teams]:
    return teams_of(text)


def triaged(
    team: str = "payments",
    intake_sequence: int = 1,
    priority: Priority = Priority.P1,
    status: str = "open",
) -> TriagedIncident:
    opened = utc("2024-10-30T00:00")
    return TriagedIncident(
        incident=ReportedIncident.model_validate(
            {
                "incident_id": INCIDENT,
                "number": 1042,
                "status": status,
                "fingerprint": "f",
                "source": "prometheus",
                "summary": "Checkout answers 500",
                "severity": Severity.CRITICAL,
                "service": "checkout",
                "signal_count": intake_sequence,
                "alerts_firing": 1,
                "started_at": opened,
                "opened_at": opened,
                "last_signal_at": opened,
            }
        ),
        intake_sequence=intake_sequence,
        impact="high",
        urgency="high",
        priority=priority,
        team=team,
        service_known=True,
        runbook="https://runbooks.example.com/checkout",
        reasons=["tier 1"],
        policy_version="c" * 12,
    )


def was_triaged(sequence: int = 1, **known: object) -> Event:
    return _event(sequence, IncidentTriaged(triage=triaged(**known)))  # type: ignore[arg-type]


def was_confirmed(sequence: int, **known: object) -> Event:
    return _event(sequence, TriageConfirmed(triage=triaged(**known)))  # type: ignore[arg-type]


def subsided(sequence: int, **known: object) -> Event:
    triage = triaged(**{"status": "cleared", **known})  # type: ignore[arg-type]
    return _event(sequence, IncidentSubsided(triage=triage))


def withdrawn(sequence: int) -> Event:
    """A person, Ben, said that it is a request."""
    known = triaged()
    said = {"kind": "request", "kind_by": "ben", "kind_note": "she asks for access"}
    incident = known.incident.model_copy(update=said)
    fact = IncidentWithdrawn(triage=known.model_copy(update={"incident": incident}))
    return _event(sequence, fact)


def _event(sequence: int, fact: TriageFact) -> Event:
    return new_event(INCIDENT, sequence, utc("2024-10-30T00:00"), fact, None)


def opened(at: str, team: str = "payments") -> Decision:
    """The response that begins at an instant."""
    return on_triage(None, was_triaged(team=team), teams(), utc(at))


def next_step(incident: Incident) -> tuple[Position, datetime]:
    """The step that the timer of an incident begins, and when it fires."""
    assert incident.due is not None
    return incident.due.position, incident.due.due_at
