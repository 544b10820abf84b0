"""Facts of triage, topic `tocsin.triage.v1`: how urgent it is, whose it is, and why."""

from enum import StrEnum
from uuid import UUID

from shared.events.facts import Fact, Model
from shared.events.intake import ReportedIncident, ServiceRequest

TOPIC = "tocsin.triage.v1"


class Priority(StrEnum):
    """ITIL priority, P1 the most urgent."""

    P1 = "P1"
    P2 = "P2"
    P3 = "P3"
    P4 = "P4"
    P5 = "P5"


class TriagedIncident(Model):
    """An incident as triage knows it after the event. `intake_sequence` is the newest intake event
    it has seen.

    `impact` and `urgency` are levels of the team's own priority matrix (by default `high`, `medium`
    and `low`). `synthetic`: made by a canary; figures and lists leave it out.
    """

    incident: ReportedIncident
    intake_sequence: int
    impact: str
    urgency: str
    priority: Priority
    team: str
    service_known: bool
    tier: int | None = None
    runbook: str | None = None
    dependencies: list[str] = []
    synthetic: bool = False
    reasons: list[str]
    policy_version: str


class IncidentTriaged(Fact, topic=TOPIC):
    """A new incident has its priority and owner."""

    triage: TriagedIncident


class IncidentReprioritised(Fact, topic=TOPIC):
    """An update changed the priority or the owner. `changed` names the fields."""

    triage: TriagedIncident
    changed: list[str]


class TriageConfirmed(Fact, topic=TOPIC):
    """An update changed nothing in the decision; readers learn how far triage has read."""

    triage: TriagedIncident


class IncidentSubsided(Fact, topic=TOPIC):
    """Intake saw the incident clear at its source; the response can end."""

    triage: TriagedIncident


class IncidentWithdrawn(Fact, topic=TOPIC):
    """A person said that it is no incident (`triage.incident.kind` and `kind_by`): the response
    ends.
    """

    triage: TriagedIncident


TriageFact = (
    IncidentTriaged | IncidentReprioritised | TriageConfirmed | IncidentSubsided | IncidentWithdrawn
)
"""The facts that carry an incident's state."""


class RequestRouted(Fact, topic=TOPIC):
    """A service request was routed to a team. No one is paged."""

    request: ServiceRequest
    request_id: UUID
    team: str
    reasons: list[str]
    policy_version: str
