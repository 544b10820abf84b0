"""Facts of intake, topic `tocsin.intake.v1`: what was identified and logged."""

from datetime import datetime
from enum import StrEnum
from typing import Literal
from uuid import UUID

from shared.events.facts import Fact, Model

TOPIC = "tocsin.intake.v1"


class Severity(StrEnum):
    """How bad the sender says it is, most severe first."""

    CRITICAL = "critical"
    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


class ReportedAlert(Model):
    """One of the alerts that an incident consists of. `key` identifies it in there."""

    key: str
    status: Literal["firing", "resolved"]
    summary: str


class ReportedIncident(Model):
    """An incident as intake knows it after the event. Times are UTC; `started_at` is the sender's
    claim.

    `signal_count` counts the signals that fired: repeats with the first, ends not. Of alerts that
    share the incident, `alerts_total` were listed by their sender, and `alerts` are the first few;
    `alerts_unlisted` fire that it left out. `acknowledged_by` is who has it at the sender.
    `flapping`: it began so often lately that it stays open until it is calm. `kind`
    is what it is: `incident`, unless a person (`kind_by`) said that it is a `request`, `change` or
    `patch`.
    """

    incident_id: UUID
    number: int
    status: Literal["open", "cleared", "closed"]
    fingerprint: str
    source: str
    summary: str
    severity: Severity
    severity_reason: str | None = None
    service: str | None = None
    component: str | None = None
    environment: str | None = None
    category: str | None = None
    description: str | None = None
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    links: list[str] = []
    signal_count: int
    alerts_firing: int
    alerts_total: int = 1
    alerts_unlisted: int = 0
    alerts: list[ReportedAlert] = []
    flapping: bool = False
    acknowledged_by: str | None = None
    started_at: datetime
    opened_at: datetime
    last_signal_at: datetime
    cleared_at: datetime | None = None
    kind: str = "incident"
    kind_by: str | None = None
    kind_note: str | None = None


class IncidentReported(Fact, topic=TOPIC):
    """A signal opened a new incident."""

    incident: ReportedIncident


class IncidentUpdated(Fact, topic=TOPIC):
    """More signals joined an open incident; in a storm one event covers many. `changed` names
    the fields.
    """

    incident: ReportedIncident
    changed: list[str]


EXPIRED = "expired"
EXPIRED_BY_POLICY = "expired: not sent again for as long as policy says"


class IncidentCleared(Fact, topic=TOPIC):
    """No alert of the incident fires any more. `reason` says whether they were resolved at the
    source or expired.
    """

    incident: ReportedIncident
    reason: str


class IncidentReclassified(Fact, topic=TOPIC):
    """A person said that it is no incident but of another kind: nobody is paged for it any more.
    `logged_as` is the request or change that was logged for it.
    """

    incident: ReportedIncident
    logged_as: UUID


IncidentNews = IncidentReported | IncidentUpdated | IncidentCleared | IncidentReclassified
"""The facts that carry an incident's state."""


class ServiceRequest(Model):
    """A routine, pre-approved wish: routed to a team, never paged."""

    request_id: UUID
    source: str
    summary: str
    service: str | None = None
    requester: str | None = None
    description: str | None = None
    labels: dict[str, str] = {}
    received_at: datetime


class RequestLogged(Fact, topic=TOPIC):
    """A service request came in."""

    request: ServiceRequest


class Change(Model):
    """A deployment, rollback, configuration change or patch of a service (`kind`; more to come)."""

    change_id: UUID
    source: str
    kind: str
    summary: str
    service: str | None = None
    version: str | None = None
    labels: dict[str, str] = {}
    links: list[str] = []
    made_at: datetime
    received_at: datetime


class ChangeRecorded(Fact, topic=TOPIC):
    """A change was recorded, so that incidents can be traced to it later."""

    change: Change


class Advisory(Model):
    """A weakness of software or a patch for one, as its publisher or a scanner tells of it
    (`status`; more to come). `advisory` is its id there, a CVE say.
    """

    advisory_id: UUID
    source: str
    advisory: str
    status: str
    summary: str
    severity: str | None = None
    service: str | None = None
    aliases: list[str] = []
    packages: list[str] = []
    fixed_in: list[str] = []
    description: str | None = None
    labels: dict[str, str] = {}
    links: list[str] = []
    published_at: datetime | None = None
    received_at: datetime


class AdvisoryRecorded(Fact, topic=TOPIC):
    """An advisory was recorded, so that it can be traced to what it affects and what fixed it."""

    advisory: Advisory
