"""How incidents end or move on without a signal: by time, and by what responders did."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from services.intake.incidents.domain.incident import Incident, PendingEvent, clear, report, update
from services.intake.incidents.policy import IntakePolicy
from shared.events.facts import next_sequence
from shared.events.ids import derived_id
from shared.events.intake import EXPIRED, EXPIRED_BY_POLICY


def flush_update(incident: Incident, epoch: int, now: datetime) -> PendingEvent | None:
    """The pending update; None when a later event carried it or the incident has ended."""
    if incident.status != "open" or not incident.update_pending or incident.opens_at:
        return None
    return update(incident, ["signal_count"], epoch, now)


@dataclass(frozen=True, slots=True)
class Ended:
    """What has ended in an incident without a word: how many alerts, the keys of those that are
    listed, whether all had been resolved and were only held, or ended by policy; and the next end.
    """

    alerts: int
    keys: Collection[str]
    were_held: bool
    next_end: datetime | None
    by_policy: bool = False


def expire(
    incident: Incident, ended: Ended, policy: IntakePolicy, epoch: int, now: datetime
) -> tuple[Incident, PendingEvent | None]:
    """The incident after alerts of it passed their end and the grace without being sent again."""
    if incident.status != "open":
        return incident, None
    armed_at = ended.next_end + policy.expiry_grace if ended.next_end else None
    firing = incident.alerts_firing - ended.alerts
    incident = replace(
        incident,
        alerts_firing=firing,
        alerts_unlisted=min(incident.alerts_unlisted, firing),
        alerts=_resolved(incident.alerts, ended.keys),
        expiry_armed_at=armed_at,
    )
    if not ended.alerts:
        return incident, None
    if incident.opens_at:  # it was never reported
        over = replace(incident, status="cleared", cleared_at=now, opens_at=None)
        return incident if firing > 0 else over, None
    event = (
        update(incident, ["alerts_firing"], epoch, now)
        if firing > 0
        else clear(incident, _reason(incident, ended, policy), epoch, now)
    )
    return event.incident, event


def _resolved(alerts: list[dict[str, Any]], keys: Collection[str]) -> list[dict[str, Any]]:
    return [{**one, "status": "resolved"} if one["key"] in keys else one for one in alerts]


def _reason(incident: Incident, ended: Ended, policy: IntakePolicy) -> str:
    if not ended.were_held:
        return EXPIRED_BY_POLICY if ended.by_policy else EXPIRED
    if incident.flapping and policy.flapping:
        return f"resolved at the source; it was flapping, and is calm since {policy.flapping.calm}"
    return "resolved at the source, and that has lasted"


def report_held_back(incident: Incident, epoch: int, now: datetime) -> PendingEvent | None:
    """The report of an incident that was to fire for a while before anybody hears of it; None when
    it is over, or was reported.
    """
    if incident.status != "open" or not incident.opens_at or incident.opens_at > now:
        return None
    return report(replace(incident, opens_at=None), epoch, now, incident.trace)


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
        acknowledged_by=None,
        opens_at=None,  # it is reported now
    )
    return closed, report(opened, epoch, now, None)
