"""Metrics of reporting."""

from shared.telemetry.metrics import SERVICE_METRICS

METRICS = SERVICE_METRICS
