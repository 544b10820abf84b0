"""What a person says that an incident is instead: a request, a change, a patch."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from services.intake.incidents.domain.incident import Incident, PendingEvent
from services.intake.signals.domain import AlertData, Signal
from services.intake.signals.domain.classification import as_kind
from shared.events.facts import next_sequence
from shared.events.intake import IncidentReclassified

OtherKind = Literal["request", "change", "patch"]


@dataclass(frozen=True, slots=True)
class Reclassify:
    """An order of a person. `note` says why."""

    kind: OtherKind
    by: str
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Reclassified:
    """The result: what was done, or why nothing was, in words. `logged` is the signal that stands
    for what it is now.
    """

    incident: Incident
    said: str
    event: PendingEvent | None = None
    logged: Signal | None = None


def reclassify(incident: Incident, order: Reclassify, epoch: int, now: datetime) -> Reclassified:
    """The incident as something else. It stays open, so that its alerts go on joining it and page
    nobody, until they clear at their source.
    """
    if incident.kind != "incident":
        return Reclassified(incident, f"{incident.kind_by} said already: it is a {incident.kind}")
    if incident.status != "open":
        return Reclassified(incident, f"it has {_ENDED[incident.status]}: what is over stays")
    changed = replace(
        incident,
        kind=order.kind,
        kind_by=order.by,
        kind_note=order.note,
        sequence=next_sequence(incident.sequence, epoch),
        published_at=now,
        update_pending=False,
    )
    logged = _logged(changed, order.kind, now)
    fact = IncidentReclassified(incident=changed.reported(), logged_as=logged.subject)
    said = f"it is a {order.kind}: nobody is paged for it any more"
    return Reclassified(changed, said, PendingEvent(changed, fact), logged)


_ENDED = {"cleared": "cleared", "closed": "been resolved"}


def _logged(incident: Incident, kind: OtherKind, now: datetime) -> Signal:
    """The incident as a signal of another kind; the same incident makes the same once."""
    data = AlertData.model_construct(
        summary=incident.summary,
        service=incident.service,
        labels=incident.labels,
        links=incident.links,
        description=incident.description,
        starts_at=incident.started_at,
        alert=None,
        key=incident.fingerprint,
    )
    reported = Signal(
        incident.origin, incident.fired_by, incident.started_at, now, incident.trace, data
    )
    return replace(as_kind(reported, kind), episode=f"incident {incident.incident_id}")
