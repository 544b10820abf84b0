"""New incidents: of an alert, and of a storm."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from services.intake.incidents.domain.description import assess, description
from services.intake.incidents.domain.grouping import Grouped
from services.intake.incidents.domain.incident import Incident
from services.intake.incidents.policy import Flapping, IntakePolicy
from services.intake.signals.domain import Alert
from shared.events.facts import next_sequence


def open_incident(
    item: Grouped,
    number: int,
    before: Sequence[str],
    policy: IntakePolicy,
    epoch: int,
    now: datetime,
) -> Incident:
    """The incident that an alert opens; `before` are the episodes of the one before it."""
    alert = item.alert
    severity, reason = assess(alert, policy)
    episodes = _lately(before, policy.flapping, now)
    delay = item.rule.open_after
    incident = Incident(
        incident_id=alert.signal.subject,
        number=number,
        status="open",
        origin=alert.signal.origin,
        fingerprint=item.fingerprint,
        severity=severity,
        severity_reason=reason,
        **description(alert, policy),
        signal_count=1,
        episodes=episodes,
        flapping=policy.flapping is not None and len(episodes) >= policy.flapping.episodes,
        started_at=began_at(alert),
        opened_at=now,
        last_signal_at=now,
        fired_by=alert.signal.signal_id,
        fired_sequence=next_sequence(0, epoch),
        published_at=now,
        opens_at=now + delay if delay else None,
    )
    # It has no event yet that could begin its trace.
    return incident.in_trace(alert.signal.trace) if delay and alert.signal.trace else incident


def began_at(alert: Alert) -> datetime:
    """When it began, as its sender claims."""
    return alert.data.starts_at or alert.signal.sent_at


def _lately(before: Sequence[str], policy: Flapping | None, now: datetime) -> list[str]:
    """The times at which incidents of a fingerprint began, with one that begins now."""
    if policy is None:
        return []
    since = (now - policy.within).isoformat()
    recent = [moment for moment in before if moment > since]
    return [*recent, now.isoformat()][-policy.episodes :]


def hold(incident: Incident, item: Grouped, policy: IntakePolicy) -> timedelta:
    """For how long nothing of the incident must fire before it clears."""
    calm = policy.flapping.calm if policy.flapping and incident.flapping else timedelta(0)
    return max(calm, item.rule.clear_after)
