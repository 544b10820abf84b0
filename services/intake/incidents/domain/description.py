"""The description and the severity that an alert gives its incident."""

from typing import Any

from services.intake.incidents.domain.incident import Incident
from services.intake.incidents.policy import IntakePolicy
from services.intake.signals.domain import Alert
from services.intake.signals.domain.normalisation import described_by
from shared.events.intake import Severity

_RANK = {severity: rank for rank, severity in enumerate(Severity)}


def description(alert: Alert, policy: IntakePolicy) -> dict[str, Any]:
    """The descriptive fields of an incident, taken from an alert."""
    data = alert.data
    return {
        "summary": data.summary,
        "service": data.service,
        "component": data.component,
        "environment": data.environment,
        "category": data.category,
        "description": data.description
        or described_by(data.annotations, data.labels, policy.normalise),
        "labels": data.labels,
        "annotations": data.annotations,
        "links": data.links,
        "described_by": [alert.signal.sent_at.isoformat(), alert.signal.signal_id],
    }


def described(alert: Alert, incident: Incident, policy: IntakePolicy) -> dict[str, Any]:
    """What an alert changes in the description of an open incident.

    It is that of the newest signal by the sender's clock, with the worst severity of all: so it
    does not depend on the order in which parallel senders happened to be served.
    """
    changed: dict[str, Any] = {}
    severity, reason = assess(alert, policy)
    # Of two that are as severe, a severity that was sent (and needs no reason) counts.
    if (_RANK[severity], reason or "") < (_RANK[incident.severity], incident.severity_reason or ""):
        changed |= {"severity": severity, "severity_reason": reason}
    if [alert.signal.sent_at.isoformat(), alert.signal.signal_id] > incident.described_by:
        changed |= description(alert, policy)
    return changed


def assess(alert: Alert, policy: IntakePolicy) -> tuple[Severity, str | None]:
    """The severity of an alert, and the reason where it is not the sender's own."""
    if (severity := alert.severity) is not None:
        return severity, None
    problem = (
        f"severity `{alert.data.severity}` is not known"
        if alert.data.severity
        else "the sender gave no severity"
    )
    default = policy.default_severity
    return default, f"{problem}: the policy's default, {default.value}, is taken"
