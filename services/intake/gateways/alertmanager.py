"""Alertmanager's webhook, version 4
(https://prometheus.io/docs/alerting/latest/configuration/#webhook_config).

Lenient where the sender's users write free text: one odd alert never blocks the rest of its group,
and what is too long is shortened. The group key decides the incident, each alert's fingerprint is
one alert of it.
"""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

import orjson
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from services.intake.gateways.gateway import Answer, Body, Gateway, Route, Submission
from services.intake.signals.domain import AlertData, Group, Identity, Signal, Taken
from services.intake.signals.domain.bounds import within_bounds
from services.intake.signals.domain.data import known_time
from shared.events.cloudevents import Malformed, load_json
from shared.events.facts import first_problem
from shared.events.ids import uuid7
from shared.events.text import shorten

MAX_BODY_BYTES = 32 * 1024 * 1024
MAX_ALERTS = 10_000
_MAX_KEY = 255
_MAX_TEXTS = 128
_READ = (
    *("alertname", "service", "job", "severity"),
    *("summary", "title", "description", "runbook_url", "dashboard"),
)
_ALL_RESOLVED = "all alerts resolved"
_SOME_FIRE = (
    "first notification",
    "new alerts added",
    "some alerts resolved",
    "repeat interval elapsed",
)


def _text(value: Any, length: int) -> str:
    """Any value as a text of at most `length` characters, without NUL."""
    if value is None:
        return ""
    if isinstance(value, dict | list):
        value = orjson.dumps(value).decode()
    return shorten(str(value).replace("\x00", ""), length)


def _texts(value: Any) -> dict[str, str]:
    """Labels or annotations as sent, whatever they hold. Of too many, those that are read here
    stay, and the number of the others.
    """
    named = list(value.items()) if isinstance(value, Mapping) else []
    omitted = max(len(named) - _MAX_TEXTS, 0)
    if omitted:
        omitted += 1  # the entry with their number takes a place
        named.sort(key=lambda item: item[0] not in _READ)
    texts = {}
    for name, text in named[: len(named) - omitted]:
        if key := _text(name, 255):
            texts[key] = _text(text, 4096)
    if omitted:
        texts["…"] = f"{omitted} more were left out"
    return texts


def _count(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else 0


def _time(value: Any, read: ValidatorFunctionWrapHandler) -> datetime | None:
    try:
        return known_time(read(value))
    except (ValidationError, OverflowError):
        return None


Texts = Annotated[dict[str, str], BeforeValidator(_texts)]
Lenient = Annotated[str, BeforeValidator(lambda value: _text(value, 2048))]
Key = Annotated[str, BeforeValidator(lambda value: _text(value, MAX_BODY_BYTES))]


class AlertmanagerAlert(BaseModel):
    """One alert of a group, whatever its sender wrote into it."""

    model_config = ConfigDict(extra="ignore")

    # An odd status is trouble too: better a page too many than a group refused.
    status: Annotated[
        str, BeforeValidator(lambda value: "resolved" if value == "resolved" else "firing")
    ] = "firing"
    labels: Texts = {}
    annotations: Texts = {}
    starts_at: Annotated[datetime | None, WrapValidator(_time)] = Field(
        default=None, alias="startsAt"
    )
    generator_url: Lenient = Field(default="", alias="generatorURL")
    fingerprint: Key = ""

    @property
    def fires(self) -> bool:
        return self.status == "firing"


class AlertmanagerWebhook(BaseModel):
    """A notification about a group of alerts; it may leave some out (`max_alerts`)."""

    model_config = ConfigDict(extra="ignore")

    version: str = "4"
    group_key: Key = Field(default="", alias="groupKey")
    truncated_alerts: Annotated[int, BeforeValidator(_count)] = Field(
        default=0, alias="truncatedAlerts"
    )
    notification_reason: Lenient = ""
    alerts: list[
        Annotated[
            AlertmanagerAlert,
            BeforeValidator(lambda value: value if isinstance(value, dict) else {}),
        ]
    ] = Field(min_length=1)


class AcceptedAlerts(BaseModel):
    """All alerts that the notification lists are committed."""

    accepted: int = Field(description="how many signals are committed")


def read_webhook(submission: Submission) -> list[Signal]:
    """The signals of one notification: alerts that fire before those that are resolved, so that one
    of them taking over from another leaves the incident open.

    A notification has no id of its own: each is a new signal, so a repeat counts in its incident.
    """
    document = load_json(submission.body, "body", MAX_BODY_BYTES)
    try:
        webhook = AlertmanagerWebhook.model_validate(document)
    except ValidationError as error:
        raise first_problem(error, "body") from None
    if webhook.version != "4":
        named = shorten(webhook.version, 20)
        raise Malformed("version", f'is "{named}"; this gateway takes version "4" of the webhook')
    alerts = sorted(webhook.alerts, key=lambda alert: not alert.fires)
    listed, others = alerts[:MAX_ALERTS], alerts[MAX_ALERTS:]
    group = _group(webhook, listed, others)
    about_group = len(listed) - 1 if group.all_resolved else 0
    other = Group(key=group.key, is_told=False)
    return [
        _signal(submission, webhook, alert, group if place == about_group else other)
        for place, alert in enumerate(listed)
    ]


def _group(
    webhook: AlertmanagerWebhook,
    listed: Sequence[AlertmanagerAlert],
    others: Sequence[AlertmanagerAlert],
) -> Group:
    """The state of the whole group, with alerts that are not listed or beyond MAX_ALERTS.

    `status` says "resolved" while unlisted alerts fire; `notification_reason` (0.32) is exact.
    """
    reason, key = webhook.notification_reason, _identity(webhook.group_key)
    firing = sum(alert.fires for alert in others)
    unlisted = webhook.truncated_alerts + firing
    if reason == _ALL_RESOLVED and not any(alert.fires for alert in listed):
        return Group(all_resolved=True, key=key)
    if firing or any(alert.fires for alert in listed):
        return Group(unlisted, all_resolved=False, key=key)
    if not unlisted:
        return Group(all_resolved=True, key=key)
    return Group(unlisted, all_resolved=False if reason in _SOME_FIRE else None, key=key)


def _signal(
    submission: Submission, webhook: AlertmanagerWebhook, alert: AlertmanagerAlert, group: Group
) -> Signal:
    return Signal(
        origin=f"{submission.integration.name} alertmanager",
        signal_id=str(uuid7()),
        sent_at=alert.starts_at or submission.received_at,
        received_at=submission.received_at,
        trace=submission.trace,
        data=within_bounds(_data(webhook, alert)),
        group=group,
    )


def _data(webhook: AlertmanagerWebhook, alert: AlertmanagerAlert) -> AlertData:
    labels, annotations = alert.labels, alert.annotations
    links = [
        alert.generator_url,
        annotations.get("runbook_url", ""),
        annotations.get("dashboard", ""),
    ]
    return AlertData(
        status="firing" if alert.fires else "resolved",
        summary=_summary(alert),
        service=shorten(labels.get("service") or labels.get("job") or "", 255) or None,
        severity=shorten(labels.get("severity") or annotations.get("severity") or "", 64) or None,
        key=_identity(alert.fingerprint or _listed(labels)) or None,
        labels=labels,
        annotations=annotations,
        links=[shorten(link, 2048) for link in links if link],
        starts_at=alert.starts_at,
        # A firing alert has no end: Alertmanager sends an explicit resolve.
        ends_at=None,
    )


def _summary(alert: AlertmanagerAlert) -> str:
    texts = [alert.annotations.get(name, "") for name in ("summary", "title", "description")]
    texts.append(alert.labels.get("alertname", ""))
    return shorten(next(filter(str.strip, texts), "alert without a name"), 1024)


def _listed(labels: Mapping[str, str]) -> str:
    return ",".join(f"{name}={value}" for name, value in sorted(labels.items()))


def _identity(key: str) -> str:
    """A key within the bound of a signal's key: a long one becomes a hash of the whole."""
    if len(key) <= _MAX_KEY:
        return key
    return f"{key[: _MAX_KEY - 65]} {hashlib.sha256(key.encode()).hexdigest()}"


def _render(signals: Sequence[Signal], _: Mapping[Identity, Taken]) -> dict[str, int]:
    return {"accepted": len(signals)}


GATEWAY = Gateway(
    "alertmanager",
    [
        Route(
            path="/v1/alertmanager",
            summary="Alertmanager's webhook, version 4.",
            bodies=[Body("application/json", AlertmanagerWebhook, MAX_BODY_BYTES)],
            read=read_webhook,
            answer=Answer(200, AcceptedAlerts, _render),
        )
    ],
)
