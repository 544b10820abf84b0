"""Alertmanager's webhook, version 4
(https://prometheus.io/docs/alerting/latest/configuration/#webhook_config).

Lenient where the sender's users write free text: one odd alert never blocks the rest of its group,
and what is too long is cut. The group key decides the incident, each alert's fingerprint is one
alert of it.
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from services.intake.signals.domain import AlertData, Signal, known_time
from shared.events.cloudevents import Malformed
from shared.events.facts import first_problem
from shared.events.ids import uuid7
from shared.events.trace_context import TraceContext

_MAX_ALERTS = 10_000
_MAX_KEY = 255
_MAX_TEXTS = (
    64 * 1024
)  # characters of an alert's labels, and of its annotations: an event of them fits into a message


def _texts(value: Any) -> Any:
    """Labels as sent, whatever they hold: values as text, NUL and excess cut away."""
    texts: dict[str, str] = {}
    left = _MAX_TEXTS
    for name, text in list(value.items())[:128] if isinstance(value, Mapping) else ():
        if key := _cut(name, 255):
            texts[key] = _cut(text, min(4096, left))
            left -= len(texts[key])
    return texts


def _cut(value: Any, length: int) -> str:
    return ("" if value is None else str(value)).replace("\x00", "")[:length]


def _time(value: Any, read: ValidatorFunctionWrapHandler) -> datetime | None:
    try:
        return known_time(read(value))
    except ValidationError:
        return None


Texts = Annotated[dict[str, str], BeforeValidator(_texts)]
Lenient = Annotated[str, BeforeValidator(lambda value: _cut(value, 2048))]


class _Alert(BaseModel):
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
    fingerprint: Lenient = ""


class _Webhook(BaseModel):
    model_config = ConfigDict(extra="ignore")

    version: str = "4"
    group_key: Annotated[str, BeforeValidator(lambda value: _cut(value, 4096))] = Field(
        default="", alias="groupKey"
    )
    alerts: list[_Alert] = Field(min_length=1, max_length=_MAX_ALERTS)


def read_webhook(
    document: Any, integration: str, now: datetime, trace: TraceContext | None
) -> list[Signal]:
    """The signals of one notification. Raises Malformed naming the field.

    A notification has no id of its own: each is a new signal, so a repeat counts in its incident.
    """
    try:
        webhook = _Webhook.model_validate(document)
    except ValidationError as error:
        raise first_problem(error, "body") from None
    if webhook.version != "4":
        raise Malformed(
            "version",
            f'is "{webhook.version[:20]}"; this gateway takes Alertmanager\'s version "4"',
        )
    return [
        Signal(
            f"{integration} alertmanager",
            str(uuid7()),
            alert.starts_at or now,
            now,
            trace,
            _data(webhook, alert),
        )
        for alert in webhook.alerts
    ]


def _data(webhook: _Webhook, alert: _Alert) -> AlertData:
    labels, annotations = alert.labels, alert.annotations
    name = labels.get("alertname", "")
    summary = (
        annotations.get("summary")
        or annotations.get("title")
        or annotations.get("description")
        or name
    )
    links = [
        link
        for link in (
            alert.generator_url,
            annotations.get("runbook_url", ""),
            annotations.get("dashboard", ""),
        )
        if link
    ]
    return AlertData(
        status="firing" if alert.status == "firing" else "resolved",
        summary=(summary or "alert without a name")[:1024],
        service=(labels.get("service") or labels.get("job") or "")[:255] or None,
        severity=(labels.get("severity") or annotations.get("severity") or "")[:64] or None,
        key=_bounded(webhook.group_key) or None,
        alert=_bounded(alert.fingerprint or ",".join(f"{k}={v}" for k, v in sorted(labels.items())))
        or None,
        labels=labels,
        annotations=annotations,
        links=[link[:2048] for link in links],
        starts_at=alert.starts_at,
        # A firing alert has no end: Alertmanager says explicitly when it is over.
        ends_at=None,
    )


def _bounded(key: str) -> str:
    """A group key of any length within the bound of a signal's key: long ones keep a hash of their
    whole.
    """
    return (
        key
        if len(key) <= _MAX_KEY
        else f"{key[: _MAX_KEY - 65]} {hashlib.sha256(key.encode()).hexdigest()}"
    )
