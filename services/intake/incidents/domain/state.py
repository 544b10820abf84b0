"""An incident as intake keeps it, and what a batch of decisions comes to."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal
from uuid import UUID

from services.intake.signals.domain import Alert
from shared.events.facts import Fact, next_sequence
from shared.events.intake import ReportedIncident, Severity
from shared.events.trace_context import TraceContext


@dataclass(frozen=True, slots=True)
class Incident:
    """An incident's row. Field for field the table `incidents`, which says what each one means."""

    incident_id: UUID
    number: int
    status: Literal["open", "cleared", "closed"]
    origin: str
    fingerprint: str
    summary: str
    severity: Severity
    severity_reason: str | None
    service: str | None
    labels: dict[str, str]
    annotations: dict[str, str]
    links: list[str]
    signal_count: int
    alerts_firing: int
    started_at: datetime
    opened_at: datetime
    last_signal_at: datetime
    cleared_at: datetime | None
    described_by: list[str]
    fired_by: str
    fired_sequence: int
    sequence: int
    told_at: datetime
    expiry_armed_at: datetime | None
    held_back: bool
    traceparent: str | None
    tracestate: str | None

    @property
    def trace(self) -> TraceContext | None:
        """The trace that the whole incident belongs to; None until its first event is written."""
        return TraceContext(self.traceparent, self.tracestate) if self.traceparent else None

    def reported(self) -> ReportedIncident:
        """The incident as events carry it."""
        own = {
            name: getattr(self, name) for name in ReportedIncident.model_fields if name != "source"
        }
        return ReportedIncident(source=self.origin, **own)


@dataclass(frozen=True, slots=True)
class Member:
    """One alert of an incident: whether it fires, and until when the sender promised to say so
    again.
    """

    firing: bool
    ends_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """A fact to be written. `cause` is the trace of the signal behind it."""

    incident: Incident
    fact: Fact
    cause: TraceContext | None


@dataclass(slots=True)
class Outcome:
    """What a batch of alerts comes to: rows to save, facts to write, and a decision a signal."""

    opened: dict[UUID, Incident] = field(default_factory=dict)
    changed: dict[UUID, Incident] = field(default_factory=dict)
    members: dict[tuple[UUID, str], Member] = field(default_factory=dict)
    told: list[Told] = field(default_factory=list)
    decisions: list[tuple[Alert, str, UUID | None]] = field(default_factory=list)
    update_due: list[Incident] = field(default_factory=list)
    expiry_due: list[Incident] = field(default_factory=list)


def tell(incident: Incident, epoch: int, now: datetime) -> Incident:
    """The incident with the next sequence: an event that carries all of it is being written."""
    return replace(
        incident, sequence=next_sequence(incident.sequence, epoch), told_at=now, held_back=False
    )


def changes(before: Incident, after: Incident) -> list[str]:
    """The fields of the public state that differ."""
    old, new = before.reported(), after.reported()
    return [
        name for name in ReportedIncident.model_fields if getattr(old, name) != getattr(new, name)
    ]
