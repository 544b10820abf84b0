"""Spans of reporting."""

from shared.telemetry.spans import BATCH_SPANS

SPANS = BATCH_SPANS
