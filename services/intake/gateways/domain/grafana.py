"""Notifications of Grafana: its unified alerting lists alerts of a group, as Alertmanager does;
legacy alerting (until Grafana 10) tells the state of one rule.

Sources: grafana/alerting, receivers/webhook/v1 and templates; grafana/grafana 10,
pkg/services/alerting.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from services.intake.gateways.domain import values
from services.intake.signals.domain import AlertData, Group, Signal
from services.intake.signals.domain.bounds import within_bounds
from shared.events.ids import uuid7
from shared.events.malformed import Malformed
from shared.events.trace_context import TraceContext

MAX_ALERTS = 10_000
_LEGACY = ("ruleId", "ruleName", "evalMatches", "state")
_LEGACY_OVER = ("ok", "paused")
_LINKS = ("generatorURL", "dashboardURL", "panelURL", "silenceURL", "imageURL")


@dataclass(frozen=True, slots=True)
class Envelope:
    """What all signals of a request have in common."""

    origin: str
    received_at: datetime
    trace: TraceContext | None

    def signal(
        self, data: AlertData, group: Group | None = None, began: datetime | None = None
    ) -> Signal:
        """A signal that has no id of its own: each notification is a new one."""
        return Signal(
            origin=self.origin,
            signal_id=str(uuid7()),
            sent_at=began or self.received_at,
            received_at=self.received_at,
            trace=self.trace,
            data=within_bounds(data),
            group=group,
        )


def read_notification(document: Any, envelope: Envelope) -> list[Signal]:
    """The signals of a notification of either kind. Raises Malformed, naming the field."""
    if not isinstance(document, dict):
        raise Malformed("body", "is not a JSON object")
    if "alerts" in document:
        return read_group(document, envelope)
    if not any(name in document for name in _LEGACY):
        raise Malformed("alerts", "is required: a list of alerts, or `ruleId` and `state`")
    return [_legacy(document, envelope)]


def read_group(document: Mapping[str, Any], envelope: Envelope) -> list[Signal]:
    """The alerts of a group: those that fire before those that are over. Each keeps its identity,
    whatever group it is in.
    """
    sent = document.get("alerts")
    if not isinstance(sent, list) or not sent:
        raise Malformed("alerts", "must be a list of at least one alert")
    # An odd alert never blocks the others: it has no more than a name.
    alerts = [alert if isinstance(alert, dict) else {} for alert in sent]
    alerts.sort(key=_is_over)
    listed, others = alerts[:MAX_ALERTS], alerts[MAX_ALERTS:]
    group = _group(document, listed, others)
    last = len(listed) - 1
    return [
        _listed(
            document,
            alert,
            envelope,
            # That all are over is said once, after the last of them.
            replace(group, all_resolved=False) if group.all_resolved and place < last else group,
        )
        for place, alert in enumerate(listed)
    ]


def _is_over(alert: Mapping[str, Any]) -> bool:
    # An odd status is trouble too: better a page too many than an alert lost.
    return alert.get("status") == "resolved"


def _group(
    document: Mapping[str, Any],
    listed: Sequence[Mapping[str, Any]],
    others: Sequence[Mapping[str, Any]],
) -> Group:
    truncated = document.get("truncatedAlerts")
    unlisted = truncated if isinstance(truncated, int) and truncated > 0 else 0
    unlisted += sum(not _is_over(alert) for alert in others)
    key = values.key(document.get("groupKey")) or ""
    if not all(map(_is_over, listed)):
        return Group(unlisted, all_resolved=False, key=key)
    # Of those that are left out nobody knows whether they fire.
    return Group(unlisted, all_resolved=None if unlisted else True, key=key)


def _listed(
    document: Mapping[str, Any], alert: Mapping[str, Any], envelope: Envelope, group: Group
) -> Signal:
    labels = values.labels(_object(alert, "labels"))
    annotations = values.labels(_object(alert, "annotations"))
    texts = [annotations.get(name) for name in ("summary", "title", "description")]
    texts += [labels.get("alertname"), document.get("title"), "alert without a name"]
    began = values.moment(alert.get("startsAt"))
    identity = alert.get("fingerprint") or [f"{name}={labels[name]}" for name in sorted(labels)]
    data = AlertData(
        status="resolved" if _is_over(alert) else "firing",
        summary=values.line(texts),
        service=values.name([labels.get("service"), labels.get("job")]),
        severity=values.line([labels.get("severity"), annotations.get("severity")], 64) or None,
        key=values.key(identity),
        labels=labels,
        annotations=annotations,
        links=values.links([*map(alert.get, _LINKS), annotations.get("runbook_url")]),
        starts_at=began,
    )
    return envelope.signal(data, group, began)


def _object(alert: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = alert.get(name)
    return value if isinstance(value, dict) else {}


def _legacy(document: Mapping[str, Any], envelope: Envelope) -> Signal:
    """The state of a rule. Without data it has no `evalMatches`: the rule is what identifies it."""
    rule = document.get("ruleId")
    identity = rule if isinstance(rule, int | str) else document.get("ruleName")
    state = values.line(document.get("state"), 64)
    message = values.text(document.get("message"))
    title = values.line([document.get("ruleName"), document.get("title")])
    links = ("ruleUrl", "imageUrl", "rule_url", "image_url")
    data = AlertData(
        status="resolved" if state.lower() in _LEGACY_OVER else "firing",
        summary=title or "alert without a name",
        key=values.key(["rule", identity]) if values.key(identity) else values.key(title),
        labels=_tags(document) | ({"state": state} if state else {}),
        annotations={"description": message} if message.strip() else {},
        links=values.links([document.get(name) for name in links]),
    )
    return envelope.signal(data)


def _tags(document: Mapping[str, Any]) -> dict[str, str]:
    """The labels of what matched, as far as all matches agree."""
    matches = document.get("evalMatches")
    tags = [
        values.labels(match.get("tags"))
        for match in (matches if isinstance(matches, list) else [])
        if isinstance(match, dict)
    ]
    first = tags[0] if tags else {}
    return {name: text for name, text in first.items() if all(t.get(name) == text for t in tags)}
