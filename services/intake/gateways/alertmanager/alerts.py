"""Alerts as Prometheus, Alertmanager and those who follow them write them: labels, annotations, and
a link to what made them.

Lenient where the sender's users write free text: one odd alert never blocks the others, and what is
too long is shortened.
"""

from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import Annotated, Any, Literal

import orjson
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from services.intake.signals.domain import AlertData
from services.intake.signals.domain.bounds import within_bounds
from services.intake.signals.domain.data import known_time
from shared.events.text import shorten
from shared.events.times import read_time

MAX_BODY_BYTES = 32 * 1024 * 1024
MAX_ALERTS = 10_000
_MAX_KEY = 255
_MAX_TEXTS = 128
_READ = (
    *("alertname", "service", "job", "severity"),
    *("summary", "title", "description", "runbook_url", "dashboard"),
)
_FNV_BASIS = 14695981039346656037
_FNV_PRIME = 1099511628211
_64_BITS = 0xFFFFFFFFFFFFFFFF


def text(value: Any, length: int) -> str:
    """Any value as a text of at most `length` characters, without NUL."""
    if value is None:
        return ""
    if isinstance(value, dict | list):
        value = orjson.dumps(value).decode()
    return shorten(str(value).replace("\x00", ""), length)


def texts(value: Any) -> dict[str, str]:
    """Labels or annotations as sent, whatever they hold. Of too many, those that are read here
    stay, and the number of the others.
    """
    named = list(value.items()) if isinstance(value, Mapping) else []
    omitted = max(len(named) - _MAX_TEXTS, 0)
    if omitted:
        omitted += 1  # the entry with their number takes a place
        named.sort(key=lambda item: item[0] not in _READ)
    found = {}
    for name, content in named[: len(named) - omitted]:
        if key := text(name, 255):
            found[key] = text(content, 4096)
    if omitted:
        found["…"] = f"{omitted} more were left out"
    return found


def _time(value: Any) -> datetime | None:
    return known_time(read_time(value)) if isinstance(value, str) else None


Texts = Annotated[dict[str, str], BeforeValidator(texts)]
Lenient = Annotated[str, BeforeValidator(lambda value: text(value, 2048))]
Key = Annotated[str, BeforeValidator(lambda value: text(value, MAX_BODY_BYTES))]
Time = Annotated[datetime | None, BeforeValidator(_time)]


class SentAlert(BaseModel):
    """One alert, whatever its sender wrote into it."""

    model_config = ConfigDict(extra="ignore")

    labels: Texts = {}
    annotations: Texts = {}
    starts_at: Time = Field(default=None, alias="startsAt")
    generator_url: Lenient = Field(default="", alias="generatorURL")


def alert_data(
    alert: SentAlert, status: Literal["firing", "resolved"], key: str, ends_at: datetime | None
) -> AlertData:
    """What a signal says of the alert. A firing one without end fires until it is resolved."""
    labels, annotations = alert.labels, alert.annotations
    links = [
        alert.generator_url,
        annotations.get("runbook_url", ""),
        annotations.get("dashboard", ""),
    ]
    data = AlertData(
        status=status,
        summary=_summary(alert),
        service=shorten(labels.get("service") or labels.get("job") or "", 255) or None,
        severity=shorten(labels.get("severity") or annotations.get("severity") or "", 64) or None,
        key=bounded_key(key) or None,
        labels=labels,
        annotations=annotations,
        links=[shorten(link, 2048) for link in links if link],
        starts_at=alert.starts_at,
        ends_at=ends_at,
    )
    return within_bounds(data)


def _summary(alert: SentAlert) -> str:
    candidates = [alert.annotations.get(name, "") for name in ("summary", "title", "description")]
    candidates.append(alert.labels.get("alertname", ""))
    return shorten(next(filter(str.strip, candidates), "alert without a name"), 1024)


def fingerprint(labels: Mapping[str, str]) -> str:
    """What Prometheus and Alertmanager call a set of labels: FNV-1a of 64 bits, in hexadecimal."""
    total = _FNV_BASIS
    for name, value in sorted(labels.items()):
        for byte in b"%b\xff%b\xff" % (name.encode(), value.encode()):
            total = ((total ^ byte) * _FNV_PRIME) & _64_BITS
    return f"{total:016x}"


def bounded_key(key: str) -> str:
    """A key within the bound of a signal's key: a long one becomes a hash of the whole."""
    if len(key) <= _MAX_KEY:
        return key
    return f"{key[: _MAX_KEY - 65]} {sha256(key.encode()).hexdigest()}"
