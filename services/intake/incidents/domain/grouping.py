"""Which incident an alert belongs to: by policy, else by its sender's own groups, else its own."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace

import orjson

from services.intake.incidents.policy import IntakePolicy, Rule
from services.intake.signals.domain import Alert, Group
from shared.events.text import shorten

_NO_RULE = Rule()
_MAX_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Grouped:
    """An alert and its place. `fingerprint` is the incident's; `member` is its key in there.

    `shared`: policy or sender put others into the same incident. `identity` finds the alert again,
    whatever group it comes in next. `group` is the sender's, if the incident stands for it.
    """

    alert: Alert
    rule: Rule
    fingerprint: str
    member: str
    shared: bool
    group: Group | None

    @property
    def identity(self) -> str:
        """By which the alert is found again."""
        return self.alert.identity

    @property
    def fires(self) -> bool:
        """Whether something is wrong."""
        return self.alert.fires

    @property
    def why(self) -> str:
        """What put it into an incident with others; empty where it has one of its own."""
        if not self.shared:
            return ""
        values = {name: _value(self.alert, name) for name in self.rule.group_by}
        if any(values.values()):
            return "by " + ", ".join(f"{name}={value}" for name, value in values.items() if value)
        sent = self.alert.signal.group
        return f"by its sender's group {shorten(sent.key, _MAX_SHOWN)}" if sent else ""


def group_alerts(alerts: Iterable[Alert], policy: IntakePolicy) -> list[Grouped]:
    """The place of each alert."""
    return [_group(alert, policy) for alert in alerts]


def _group(alert: Alert, policy: IntakePolicy) -> Grouped:
    rule = _rule_for(alert, policy)
    if any(own := _values(alert, rule.identify_by)):
        alert = _identified(alert, rule, own)
    origin, data, sent = alert.signal.origin, alert.data, alert.signal.group
    group = sent if sent and sent.is_told else None
    if any(values := _values(alert, rule.group_by)):
        shared = _hash([_integration(alert), "by", rule.group_by, values])
        return Grouped(alert, rule, shared, alert.identity, True, None)
    if sent and sent.key:
        member = alert.identity if any(own) else data.key or alert.identity
        shared = _hash([origin, sent.key])
        return Grouped(alert, rule, shared, member, True, group)
    return Grouped(alert, rule, alert.fingerprint, data.alert or "", False, group)


def _identified(alert: Alert, rule: Rule, values: list[str | None]) -> Alert:
    """An alert that is known by labels."""
    about = _hash([alert.signal.origin, "is", rule.identify_by, values])
    return replace(alert, fingerprint=about, identity=about)


def _rule_for(alert: Alert, policy: IntakePolicy) -> Rule:
    """The policy's rule; what the settings of an integration say comes before that."""
    rule = next((rule for rule in policy.rules if _matches(rule, alert)), _NO_RULE)
    sender = alert.signal.sender
    if sender is None:
        return rule
    changed: dict[str, object] = {}
    if grouping := sender.grouping:
        changed = {
            "group_by": list(grouping.by),
            "window": grouping.window,
            "max_alerts": grouping.max_size,
        }
    silence = sender.expire_after or rule.expire_after or alert.signal.expire_after
    if silence is None and not sender.sends_resolved:
        silence = policy.never_resolved_expire_after
    if silence != rule.expire_after:
        changed["expire_after"] = silence
    return rule.model_copy(update=changed) if changed else rule


def _matches(rule: Rule, alert: Alert) -> bool:
    if rule.integration not in (None, _integration(alert)):
        return False
    return all(_value(alert, name) == wanted for name, wanted in rule.match.items())


def _values(alert: Alert, names: Iterable[str]) -> list[str | None]:
    return [_value(alert, name) for name in names]


def _value(alert: Alert, name: str) -> str | None:
    if name == "service":
        return alert.data.service
    return alert.data.labels.get(name)


def _integration(alert: Alert) -> str:
    return alert.signal.origin.partition(" ")[0]


def _hash(parts: list[object]) -> str:
    return hashlib.sha256(orjson.dumps(parts)).hexdigest()[:32]
