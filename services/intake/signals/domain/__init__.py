"""Signals: what publishers may send, how large it may be, and what identifies it."""

from services.intake.signals.domain.data import (
    KINDS,
    AlertData,
    ChangeData,
    RequestData,
    SignalContent,
)
from services.intake.signals.domain.known import KnownAlert, Wanted
from services.intake.signals.domain.reasons import Reasons, Redacted
from services.intake.signals.domain.signal import (
    Alert,
    Decision,
    Group,
    Identity,
    NeedsLocks,
    Overloaded,
    Refused,
    Signal,
    Taken,
    alert_key,
    as_alert,
    fingerprint,
    read_signal,
)

__all__ = [
    "KINDS",
    "Alert",
    "AlertData",
    "ChangeData",
    "Decision",
    "Group",
    "Identity",
    "KnownAlert",
    "NeedsLocks",
    "Overloaded",
    "Reasons",
    "Redacted",
    "Refused",
    "RequestData",
    "Signal",
    "SignalContent",
    "Taken",
    "Wanted",
    "alert_key",
    "as_alert",
    "fingerprint",
    "read_signal",
]
