"""Metrics of intake."""

from shared.telemetry.attributes import DECISION
from shared.telemetry.metrics import POLICY_METRICS, SERVICE_METRICS, STAGES, Metric

__all__ = ["METRICS", "SIGNALS", "STAGES"]

SIGNALS = Metric(
    "tocsin.intake.signals",
    "counter",
    "{signal}",
    "signals by decision: opened, joined, alert ended, cleared, nothing was open, logged (a "
    "change, an advisory or a service request), beat, unknown heartbeat, repeat (known by its "
    "source and id), rejected (on the topic; over HTTP see the status)",
    (DECISION,),
)
METRICS = (*SERVICE_METRICS, *POLICY_METRICS, STAGES, SIGNALS)
