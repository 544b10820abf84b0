"""How incidents end or move on without a signal: by time, and by what responders did."""

from collections.abc import Collection, Iterator
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from services.intake.incidents.domain.state import Incident, Told, tell
from services.intake.incidents.policy import IntakePolicy
from shared.events.facts import next_sequence
from shared.events.ids import derived_id
from shared.events.intake import IncidentCleared, IncidentReported, IncidentUpdated


def release(incident: Incident, epoch: int, now: datetime) -> Told | None:
    """The update that was held back; None when another event told of it already, or the incident
    has ended.
    """
    if incident.status != "open" or not incident.held_back:
        return None
    told = tell(incident, epoch, now)
    return Told(told, IncidentUpdated(incident=told.reported(), changed=["signal_count"]), None)


def expire(
    incident: Incident,
    ended: int,
    next_end: datetime | None,
    policy: IntakePolicy,
    epoch: int,
    now: datetime,
) -> tuple[Incident, Told | None]:
    """The incident after `ended` of its alerts passed their end and the grace without being sent
    again.
    """
    if incident.status != "open":
        return incident, None
    armed = next_end + policy.expiry_grace if next_end else None
    incident = replace(
        incident, alerts_firing=incident.alerts_firing - ended, expiry_armed_at=armed
    )
    if not ended:
        return incident, None
    if incident.alerts_firing > 0:
        told = tell(incident, epoch, now)
        return told, Told(
            told, IncidentUpdated(incident=told.reported(), changed=["alerts_firing"]), None
        )
    cleared = tell(replace(incident, status="cleared", cleared_at=now), epoch, now)
    return cleared, Told(
        cleared, IncidentCleared(incident=cleared.reported(), reason="expired"), None
    )


def swallows(incident: Incident, seen: int) -> bool:
    """Whether closing the incident would swallow a firing signal that came after event `seen`.

    Whoever resolved the incident knew of the signal that made it, however it is numbered since a
    restore.
    """
    fired_since = successor(incident) != incident.incident_id and incident.fired_sequence > seen
    return incident.status == "open" and fired_since


def successor(incident: Incident) -> UUID:
    """The id of an incident that its newest firing signal opens."""
    return derived_id(incident.origin, incident.fired_by, "subject")


def close(
    incident: Incident,
    seen: int,
    numbers: Iterator[int],
    epoch: int,
    now: datetime,
    over: Collection[UUID] = (),
) -> tuple[Incident, Told | None]:
    """End an incident that responders resolved having seen event `seen`.

    A firing signal that came after what they saw opens a new incident, whose report is the second
    of the result; unless that one is among those known to be `over` as well.
    """
    closed = replace(incident, status="closed")
    if not swallows(incident, seen) or successor(incident) in over:
        return closed, None
    fresh = replace(
        incident,
        incident_id=successor(incident),
        number=next(numbers),
        signal_count=1,
        opened_at=now,
        sequence=0,
        fired_sequence=next_sequence(0, epoch),
        traceparent=None,
        tracestate=None,
    )
    told = tell(fresh, epoch, now)
    return closed, Told(told, IncidentReported(incident=told.reported()), None)
