"""Facts of reporting, topic `tocsin.incidents.v1` (compacted): the state of every incident."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from shared.events.facts import Fact, Model
from shared.events.intake import Severity
from shared.events.triage import Priority

TOPIC = "tocsin.incidents.v1"


class IncidentSummary(Model):
    """All that is known of an incident now. Fields that no service has stated yet are null.

    `synthetic`: not real, a canary's that goes the whole way to prove it.
    """

    incident_id: UUID
    number: int | None = None
    status: Literal["reported", "triggered", "acknowledged", "resolved"]
    cleared: bool = False
    summary: str | None = None
    service: str | None = None
    severity: Severity | None = None
    priority: Priority | None = None
    team: str | None = None
    signal_count: int | None = None
    opened_at: datetime | None = None
    acknowledged_at: datetime | None = None
    acknowledged_by: str | None = None
    resolved_at: datetime | None = None
    resolved_by: str | None = None
    trace_id: str | None = None
    synthetic: bool | None = None


class IncidentState(Fact, topic=TOPIC):
    """The newest state; the key is the incident's id, so that compaction keeps one a record."""

    incident: IncidentSummary
