"""Metrics of triage."""

from shared.telemetry.attributes import DECISION, Attribute
from shared.telemetry.metrics import POLICY_METRICS, SERVICE_METRICS, STAGES, Metric

__all__ = ["METRICS", "PRIORITY", "STAGES", "TRIAGED"]

PRIORITY = Attribute(
    "tocsin.priority", "priority of the incident", values=("P1", "P2", "P3", "P4", "P5")
)

TRIAGED = Metric(
    "tocsin.triage.decisions",
    "counter",
    "{decision}",
    "decisions by kind and priority: IncidentTriaged, IncidentReprioritised, "
    "TriageConfirmed, IncidentSubsided, "
    "and RequestRouted, which has no priority",
    (DECISION, PRIORITY),
)
METRICS = (*SERVICE_METRICS, *POLICY_METRICS, STAGES, TRIAGED)
