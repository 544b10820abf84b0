"""How incidents end or move on without a signal: by time, and by what responders did."""

from collections.abc import Collection, Iterator
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from services.intake.incidents.domain.incident import Incident, PendingEvent, clear, report, update
from services.intake.incidents.policy import IntakePolicy
from shared.events.facts import next_sequence
from shared.events.ids import derived_id


def flush_update(incident: Incident, epoch: int, now: datetime) -> PendingEvent | None:
    """The pending update; None when a later event carried it or the incident has ended."""
    if incident.status != "open" or not incident.update_pending:
        return None
    return update(incident, ["signal_count"], epoch, now)


def expire(
    incident: Incident,
    ended: int,
    next_end: datetime | None,
    policy: IntakePolicy,
    epoch: int,
    now: datetime,
) -> tuple[Incident, PendingEvent | None]:
    """The incident after `ended` of its alerts passed their end and the grace without being sent
    again.
    """
    if incident.status != "open":
        return incident, None
    armed_at = next_end + policy.expiry_grace if next_end else None
    firing = incident.alerts_firing - ended
    incident = replace(incident, alerts_firing=firing, expiry_armed_at=armed_at)
    if not ended:
        return incident, None
    event = (
        update(incident, ["alerts_firing"], epoch, now)
        if firing > 0
        else clear(incident, "expired", epoch, now)
    )
    return event.incident, event


def has_newer_signal(incident: Incident, seen: int) -> bool:
    """Whether a firing signal came after event `seen`, so that closing the incident would lose it.

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
    already_resolved: Collection[UUID] = (),
) -> tuple[Incident, PendingEvent | None]:
    """End an incident that responders resolved having seen event `seen`.

    A firing signal that came after what they saw opens a new incident, whose report is the second
    of the result; unless that one is among the `already_resolved` as well.
    """
    if incident.kind != "incident":
        # Paging ended because it is something else: its alerts still join it until they clear.
        return incident, None
    closed = replace(incident, status="closed")
    if not has_newer_signal(incident, seen) or successor(incident) in already_resolved:
        return closed, None
    opened = replace(
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
    return closed, report(opened, epoch, now, None)
