"""Alerts that a notification about a group leaves out: how many fire, and when they are over."""

from dataclasses import replace
from datetime import timedelta

from services.intake.incidents.domain.folding import Folding
from services.intake.incidents.domain.incident import UNLISTED, Incident, Member
from services.intake.signals.domain import Group


def count_unlisted(fold: Folding, incident: Incident, group: Group | None) -> Incident:
    """The incident with the unlisted alerts of a notification, which fire as long as any of the
    group does.
    """
    if group is None or group.all_resolved:
        return incident
    known = fold.member(incident, UNLISTED)
    if not group.unlisted and not known.firing:
        return incident
    ends_at = fold.now + fold.policy.unlisted_timeout if group.all_resolved is None else None
    member = Member(bool(group.unlisted), ends_at, max(group.unlisted, 1))
    change = fold.put_unlisted(incident, UNLISTED, member)
    return replace(
        incident,
        alerts_firing=incident.alerts_firing + change,
        alerts_unlisted=member.alerts_firing,
        expiry_armed_at=fold.expiry(ends_at, incident.expiry_armed_at),
    )


def settle_group(fold: Folding, incident: Incident, group: Group | None) -> Incident:
    """The incident after a resolved alert: unlisted ones resolve or expire with their group."""
    if group is None:
        return incident
    incident = count_unlisted(fold, incident, group)
    if group.all_resolved is False:
        return incident
    ends_at = fold.now + fold.policy.unlisted_timeout
    firing = incident.alerts_firing
    for key, member in fold.firing_members(incident):
        if group.all_resolved:
            firing += fold.put_unlisted(incident, key, replace(member, firing=False))
        elif member.ends_at is None:
            fold.put_unlisted(incident, key, replace(member, ends_at=ends_at))
    incident = replace(incident, alerts_firing=firing)
    if group.all_resolved:
        resolved = [{**alert, "status": "resolved"} for alert in incident.alerts]
        return replace(incident, alerts=resolved, alerts_unlisted=0)
    armed = fold.expiry(ends_at, incident.expiry_armed_at) if firing else incident.expiry_armed_at
    return replace(incident, expiry_armed_at=armed)


def leave_unlisted(fold: Folding, incident: Incident, grace: timedelta) -> Incident:
    """The incident of a group of which an alert has come in another: nothing may ever be heard of
    its unlisted alerts again.
    """
    known = fold.member(incident, UNLISTED)
    if not known.firing or known.ends_at:
        return incident
    ends_at = fold.now + grace
    fold.put_unlisted(incident, UNLISTED, replace(known, ends_at=ends_at))
    return replace(incident, expiry_armed_at=fold.expiry(ends_at, incident.expiry_armed_at))
