"""What kind of thing a signal is about: as its format says, unless a rule of the policy knows
better.
"""

from dataclasses import replace
from functools import lru_cache
from typing import Any

from services.intake.signals.domain.data import AlertData, ChangeData, RequestData, SignalData
from services.intake.signals.domain.signal import Signal, fingerprint
from services.intake.signals.policy import ClassRule, Kind, compiled

_compiled = lru_cache(maxsize=1000)(compiled)


def classify(signal: Signal, rules: tuple[ClassRule, ...]) -> Signal:
    """The signal as the kind that the first rule that matches says.

    The end of an alert stays what it is: it ends an incident that there may be.
    """
    data = signal.data
    if not isinstance(data, SignalData):
        return signal
    if isinstance(data, AlertData) and data.status != "firing":
        return signal
    for place, rule in enumerate(rules, 1):
        if _matches(rule, signal, data):
            reasons = replace(signal.reasons, classified=f"{rule.kind}, by rule {place}")
            return replace(as_kind(signal, rule.kind), reasons=reasons)
    return signal


def _matches(rule: ClassRule, signal: Signal, data: SignalData) -> bool:
    if rule.integration not in (None, signal.integration):
        return False
    labels = data.labels
    for name, pattern in rule.labels.items():
        if name not in labels or not _compiled(pattern).fullmatch(labels[name]):
            return False
    return rule.summary is None or bool(_compiled(rule.summary).search(data.summary))


def as_kind(signal: Signal, kind: Kind) -> Signal:
    """The signal as another kind, as far as its data says what that needs. Each is itself already
    or becomes one.
    """
    data = signal.data
    match kind:
        case "incident":
            if isinstance(data, AlertData):
                return signal
            # Each is about something else, even where two read alike.
            made = {"key": signal.signal_id[:255], "starts_at": signal.sent_at}
            return replace(signal, data=AlertData.model_construct(**_shared(data, AlertData, made)))
        case "request":
            if isinstance(data, RequestData):
                return signal
            request = RequestData.model_construct(**_shared(data, RequestData, {}))
            return replace(signal, data=request, episode=_episode(signal))
        case "change" | "patch":
            made = {"kind": "patch"} if kind == "patch" else {}
            change = ChangeData.model_construct(**_shared(data, ChangeData, made))
            return replace(signal, data=change, episode=_episode(signal))


def _shared(data: Any, model: type[SignalData], made: dict[str, Any]) -> dict[str, Any]:
    """The fields that both kinds have."""
    return {name: value for name, value in vars(data).items() if name in model.model_fields} | made


def _episode(signal: Signal) -> str | None:
    """What makes the repeats of an alert that goes on firing one request or one change."""
    data = signal.data
    if not isinstance(data, AlertData):
        return signal.episode
    began = data.starts_at.isoformat() if data.starts_at else ""
    return f"{fingerprint(signal.origin, data)} {data.alert or ''} {began}"
