"""One shape for all senders: fields that they leave empty are filled from labels, their words for
severities are understood, and what is wrong with their clocks is noted.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from services.intake.signals.domain.data import AlertData, SignalData
from services.intake.signals.domain.signal import Signal
from services.intake.signals.policy import Normalisation
from shared.events.text import shorten

_NAMED = ("service", "component", "environment", "category")
_MAX_NAME = 255
_MAX_TEXT = 16_384
_DAY, _HOUR, _MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)


Normalised = tuple[dict[str, Any], datetime, list[str]]
"""The fields that are read differently, when the signal was sent, and what was done to it."""


def normalise(signal: Signal, policy: Normalisation) -> Normalised:
    """A signal in one shape. Nothing is lost: labels and annotations stay, and a severity that is
    not known stays as it was sent.
    """
    data, said = signal.data, list[str]()
    changed = _filled(data, policy, said) if isinstance(data, SignalData) else {}
    if isinstance(data, AlertData):
        _severity(data, policy, changed, said)
    sent_at = _by_our_clock(signal, changed, policy.clock_tolerance, said)
    return changed, sent_at, said


def _filled(data: SignalData, policy: Normalisation, said: list[str]) -> dict[str, Any]:
    fields, labels = vars(data), data.labels
    annotations = fields.get("annotations", {})
    filled: dict[str, Any] = {}
    for field in _NAMED:
        if field in fields and fields[field] is None:
            for name in getattr(policy, field):
                if text := (labels.get(name) or annotations.get(name, "")).strip():
                    filled[field] = shorten(text, _MAX_NAME)
                    said.append(f"{field} is that of `{name}`")
                    break
    # Of alerts, it is read where their incident is described: few of a storm describe it.
    if not isinstance(data, AlertData) and fields.get("description", "") is None:
        filled["description"] = described_by(annotations, labels, policy)
    return filled


def described_by(
    annotations: Mapping[str, str], labels: Mapping[str, str], policy: Normalisation
) -> str | None:
    """The description of what its sender describes in an annotation or label."""
    for name in policy.description:
        if text := (annotations.get(name) or labels.get(name, "")).strip():
            return shorten(text, _MAX_TEXT)
    return None


def _severity(
    data: AlertData, policy: Normalisation, changed: dict[str, Any], said: list[str]
) -> None:
    """A severity in our words. One that is not known stays: the policy's default is taken for it
    where the incident's is decided, which keeps the reason.
    """
    sent = data.severity
    if not sent or not sent.strip():
        said.append("the sender gave no severity: the policy's default is taken")
    elif (severity := policy.severity_of(sent)) is None:
        said.append(f"severity `{sent}` is not known: the policy's default is taken")
    elif sent != severity.value:
        said.append(f"severity `{sent}` is {severity.value}")
        changed["severity"] = severity.value


def _by_our_clock(
    signal: Signal, changed: dict[str, Any], tolerance: timedelta, said: list[str]
) -> datetime:
    """When the signal was sent. No time is still to come: it would look newer than whatever
    follows.
    """
    received_at, latest = signal.received_at, signal.received_at + tolerance
    data = signal.data
    if isinstance(data, AlertData):
        if data.starts_at and data.starts_at > latest:
            said.append(_skew("it begins only then", data.starts_at, received_at))
            changed["starts_at"] = received_at
        if data.status == "firing" and data.ends_at and data.ends_at < received_at - tolerance:
            said.append(_skew("it fires, and ended then", data.ends_at, received_at))
    if signal.sent_at > latest:
        if not any(text.startswith("skew") for text in said):
            said.append(_skew("it was sent then", signal.sent_at, received_at))
        return received_at
    return signal.sent_at


def _skew(what: str, theirs: datetime, ours: datetime) -> str:
    return f"skew {_span(theirs - ours)}: by the sender's clock {what}, {theirs.isoformat()}"


def _span(span: timedelta) -> str:
    """A rounded span with its sign: `-3 h`, `+12 min`."""
    sign, size = ("-" if span < timedelta(0) else "+"), abs(span)
    for unit, name in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
        if size >= unit:
            return f"{sign}{round(size / unit)} {name}"
    return f"{sign}{size.seconds} s"
