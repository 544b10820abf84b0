"""An incident as intake keeps it, and the events about it."""

from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from operator import attrgetter
from typing import Any, Literal, TypeAlias
from uuid import UUID

from services.intake.signals.domain import Alert, Taken
from shared.events.facts import next_sequence
from shared.events.intake import (
    IncidentCleared,
    IncidentNews,
    IncidentReported,
    IncidentUpdated,
    ReportedAlert,
    ReportedIncident,
    Severity,
)
from shared.events.trace_context import TraceContext

UNLISTED = "\x1funlisted"
"""The key of the member that stands for the alerts that a notification leaves out."""

Place: TypeAlias = tuple[UUID, str]
"""An incident, and the key of one of its alerts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """An incident's row; the migration of the table `incidents` documents the fields. Its columns
    `told_at` and `held_back` are `published_at` and `update_pending` here.
    """

    incident_id: UUID
    number: int
    status: Literal["open", "cleared", "closed"]
    origin: str
    fingerprint: str
    summary: str
    severity: Severity
    severity_reason: str | None
    service: str | None
    component: str | None
    environment: str | None
    category: str | None
    description: str | None
    labels: dict[str, str]
    annotations: dict[str, str]
    links: list[str]
    signal_count: int
    alerts_firing: int = 0
    alerts_total: int = 0
    alerts_unlisted: int = 0
    alerts: list[dict[str, Any]] = field(default_factory=list)
    takes_more: bool = True
    episodes: list[str]
    flapping: bool
    acknowledged_by: str | None = None
    started_at: datetime
    opened_at: datetime
    last_signal_at: datetime
    cleared_at: datetime | None = None
    described_by: list[str]
    fired_by: str
    fired_sequence: int
    sequence: int = 0
    published_at: datetime
    expiry_armed_at: datetime | None = None
    update_pending: bool = False
    opens_at: datetime | None = None
    traceparent: str | None = None
    tracestate: str | None = None
    kind: str = "incident"
    kind_by: str | None = None
    kind_note: str | None = None

    @property
    def trace(self) -> TraceContext | None:
        """The trace that the whole incident belongs to; None until its first event is written."""
        return TraceContext(self.traceparent, self.tracestate) if self.traceparent else None

    def changed(self, **fields: Any) -> "Incident":
        """A copy with other fields. In a storm, copying is what takes the time: `replace` takes
        twice as long.
        """
        return Incident(**dict(zip(_FIELDS, _VALUES(self), strict=True)) | fields)

    def in_trace(self, trace: TraceContext) -> "Incident":
        """The incident as part of a trace."""
        return replace(self, traceparent=trace.traceparent, tracestate=trace.tracestate)

    def reported(self) -> ReportedIncident:
        """The incident as events carry it."""
        return ReportedIncident.model_construct(
            source=self.origin,
            alerts=[ReportedAlert.model_construct(**alert) for alert in self.alerts],
            **{name: getattr(self, name) for name in _REPORTED},
        )


_FIELDS = tuple(field.name for field in fields(Incident))
_VALUES = attrgetter(*_FIELDS)
_REPORTED = tuple(
    name for name in ReportedIncident.model_fields if name not in ("source", "alerts")
)


@dataclass(frozen=True, slots=True)
class Member:
    """One alert of an incident: whether it fires, and until when unless it is sent again. The
    member of unlisted alerts `stands_for` many. `held`: it was resolved, and ends if it stays so;
    `by_policy`: its end is not its sender's.

    The migration of the table `alerts` documents the other fields.
    """

    firing: bool
    ends_at: datetime | None = None
    stands_for: int = 1
    held: bool = False
    by_policy: bool = False
    identity: str | None = None
    name: str | None = None
    content: dict[str, Any] | None = None
    acknowledged: bool = False
    started_at: datetime | None = None
    changed_at: datetime | None = None

    @property
    def alerts_firing(self) -> int:
        """How many alerts fire."""
        return self.stands_for if self.firing else 0


NO_MEMBER = Member(firing=False)
"""An alert that is not known yet."""


@dataclass(frozen=True, slots=True)
class PendingEvent:
    """A fact to be published, with the incident after it. `cause` is the trace of the signal behind
    it.
    """

    incident: Incident
    fact: IncidentNews
    cause: TraceContext | None = None


@dataclass(slots=True)
class BatchResult:
    """Result of a batch of alerts: changed rows, facts to publish, one decision per signal, and
    the incidents that need a timer.
    """

    opened: dict[UUID, Incident] = field(default_factory=dict)
    changed: dict[UUID, Incident] = field(default_factory=dict)
    members: dict[Place, Member] = field(default_factory=dict)
    events: list[PendingEvent] = field(default_factory=list)
    decisions: list[tuple[Alert, Taken]] = field(default_factory=list)
    open_due: list[Incident] = field(default_factory=list)
    update_due: list[Incident] = field(default_factory=list)
    expiry_due: list[Incident] = field(default_factory=list)

    def replaced(self) -> set[UUID]:
        """Changed incidents that ended and made room for another of the same fingerprint: they have
        to be written before that one.
        """
        reopened = {incident.fingerprint for incident in self.opened.values()}
        return {key for key, old in self.changed.items() if old.fingerprint in reopened}


def report(
    incident: Incident, epoch: int, now: datetime, cause: TraceContext | None
) -> PendingEvent:
    """The event that makes an incident known."""
    incident = _published(incident, epoch, now)
    return PendingEvent(incident, IncidentReported(incident=incident.reported()), cause)


def update(
    incident: Incident,
    changed: list[str],
    epoch: int,
    now: datetime,
    cause: TraceContext | None = None,
) -> PendingEvent:
    """The event of an incident in which the named fields changed."""
    incident = _published(incident, epoch, now)
    return PendingEvent(
        incident, IncidentUpdated(incident=incident.reported(), changed=changed), cause
    )


def clear(
    incident: Incident, reason: str, epoch: int, now: datetime, cause: TraceContext | None = None
) -> PendingEvent:
    """The event of an incident in which no alert fires any more."""
    incident = _published(replace(incident, status="cleared", cleared_at=now), epoch, now)
    return PendingEvent(
        incident, IncidentCleared(incident=incident.reported(), reason=reason), cause
    )


def changes(before: Incident, after: Incident) -> list[str]:
    """The fields of the public state that differ."""
    names = ReportedIncident.model_fields
    return [name for name in names if _public(before, name) != _public(after, name)]


def _public(incident: Incident, name: str) -> object:
    return getattr(incident, "origin" if name == "source" else name)


def _published(incident: Incident, epoch: int, now: datetime) -> Incident:
    """The incident with the sequence of an event that carries all of it."""
    sequence = next_sequence(incident.sequence, epoch)
    return replace(incident, sequence=sequence, published_at=now, update_pending=False)
