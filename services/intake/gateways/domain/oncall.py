"""What Grafana OnCall's inbound integrations take, by the slug in their URL
(grafana/oncall, engine/config_integrations).
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from services.intake.gateways.domain import values
from services.intake.gateways.domain.grafana import Envelope, read_group, read_notification
from services.intake.signals.domain import AlertData, Signal
from shared.events.malformed import Malformed

_IDENTITIES = ("alert_uid", "uid", "fingerprint", "id", "key")
_LINKS = ("link_to_upstream_details", "url", "image_url")
_STATUS_WORD = re.compile(r"\s+is\s+(down|up)\s*$", re.IGNORECASE)
_CHANGING = ("state", "status", "level", "message", "timestamp", "time")


def read_payload(slug: str, payload: Any, envelope: Envelope) -> list[Signal]:
    """The signals of one request. Raises Malformed, naming the field."""
    if not isinstance(payload, dict):
        raise Malformed("body", "is not a JSON object")
    if not payload:
        raise Malformed("body", "is empty; send `alert_uid`, `title` and `state`")
    return SLUGS[slug](payload, envelope)


def _single(payload: Mapping[str, Any], envelope: Envelope) -> list[Signal]:
    """One alert, whose fields are all optional: {alert_uid, title, state, message, ...}."""
    return [envelope.signal(_alert(payload, _state(payload) == "OK", _identity(payload)))]


def _kapacitor(payload: Mapping[str, Any], envelope: Envelope) -> list[Signal]:
    level = values.line(payload.get("level")).upper()
    alert = _alert(payload, level.startswith("OK"), values.key(payload.get("id")))
    return [envelope.signal(alert)]


def _email(payload: Mapping[str, Any], envelope: Envelope) -> list[Signal]:
    subject = values.line(payload.get("subject"))
    over = values.line(payload.get("message")).upper() == "OK"
    return [envelope.signal(_alert({**payload, "title": subject}, over, subject.upper() or None))]


def _alert(payload: Mapping[str, Any], over: bool, identity: str | None) -> AlertData:
    message = values.text(payload.get("message"))
    title = values.line([payload.get("title"), payload.get("id"), message])
    return AlertData(
        status="resolved" if over else "firing",
        summary=title or "alert without a title",
        severity=values.line([payload.get("severity"), payload.get("level")], 64) or None,
        service=values.name(payload.get("service")),
        key=values.key(identity),
        labels=values.labels(payload.get("labels")),
        annotations={"description": message} if message.strip() else {},
        links=values.links([payload.get(name) for name in _LINKS]),
    )


def _state(payload: Mapping[str, Any]) -> str:
    return values.line(payload.get("state")).upper()


def _identity(payload: Mapping[str, Any]) -> str | None:
    """What is the same when an alert begins and when it ends. Uptime Kuma sends no `alert_uid`: its
    title is `<monitor> is down` and `<monitor> is up`.
    """
    for name in _IDENTITIES:
        if identity := values.key(payload.get(name)):
            return identity
    if title := values.line(payload.get("title")):
        return values.key(_STATUS_WORD.sub("", title))
    return values.key({name: payload[name] for name in payload if name not in _CHANGING})


SLUGS: Mapping[str, Callable[[Mapping[str, Any], Envelope], list[Signal]]] = {
    "formatted_webhook": _single,
    "webhook": _single,
    "zabbix": _single,
    "elastalert": _single,
    "kapacitor": _kapacitor,
    "inbound_email": _email,
    "alertmanager": read_group,
    "legacy_alertmanager": read_group,
    "grafana_alerting": read_group,
    "legacy_grafana_alerting": read_group,
    "grafana": read_notification,
}
"""Slug = how its payload is read."""
