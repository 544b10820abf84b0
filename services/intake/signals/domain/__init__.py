"""Signals: what publishers may send, how large it may be, and what identifies it."""

from services.intake.signals.domain.data import (
    KINDS,
    AdvisoryData,
    AlertData,
    ChangeData,
    HeartbeatData,
    RequestData,
    SignalContent,
)
from services.intake.signals.domain.heartbeat import (
    Heartbeat,
    HeartbeatName,
    HeartbeatRefused,
    HeartbeatSettings,
    ManagedBy,
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
    "AdvisoryData",
    "Alert",
    "AlertData",
    "ChangeData",
    "Decision",
    "Group",
    "Heartbeat",
    "HeartbeatData",
    "HeartbeatName",
    "HeartbeatRefused",
    "HeartbeatSettings",
    "Identity",
    "KnownAlert",
    "ManagedBy",
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
