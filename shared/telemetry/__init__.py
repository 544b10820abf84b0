"""What Tocsin tells about itself: one trace an incident, and metrics. All of it is declared, in
`spans`, `metrics` and `attributes`: docs/telemetry.md is written from these, and nothing else
leaves a process.
"""

from shared.telemetry import metrics, spans
from shared.telemetry.batches import batch_span
from shared.telemetry.export import configure_telemetry, stop_telemetry
from shared.telemetry.recording import (
    Level,
    discarded_on_error,
    measure,
    measured_on_success,
    set_levels,
)
from shared.telemetry.tracing import span

__all__ = [
    "Level",
    "batch_span",
    "configure_telemetry",
    "discarded_on_error",
    "measure",
    "measured_on_success",
    "metrics",
    "set_levels",
    "span",
    "spans",
    "stop_telemetry",
]
