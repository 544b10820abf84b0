"""Spans of the canary."""

from shared.telemetry.spans import Span

ROUND = Span("go round", "nothing", "a round of the canary: the root of its incident's trace")
SPANS = (ROUND,)
