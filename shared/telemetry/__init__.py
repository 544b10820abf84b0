"""What Tocsin tells about itself: one trace an incident, and metrics. All of it is declared, in
`spans`, `metrics` and `attributes`: docs/telemetry.md is written from these, and nothing else
leaves a process.
"""

from shared.telemetry import metrics, spans
from shared.telemetry.batches import batch_span
from shared.telemetry.export import configure_telemetry, stop_telemetry
from shared.telemetry.recording import (
    Level,
    forgotten_on_error,
    measure,
    recorded_at_the_end,
    set_levels,
)
from shared.telemetry.tracing import span

__all__ = [
    "Level",
    "batch_span",
    "configure_telemetry",
    "forgotten_on_error",
    "measure",
    "metrics",
    "recorded_at_the_end",
    "set_levels",
    "span",
    "spans",
    "stop_telemetry",
]
