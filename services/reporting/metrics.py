"""Metrics of reporting."""

from shared.telemetry.metrics import POLICY_METRICS, SERVICE_METRICS

METRICS = (*SERVICE_METRICS, *POLICY_METRICS)
