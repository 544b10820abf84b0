"""What Tocsin shows of itself: one trace per incident, and metrics. All of it is declared, here and
in the services' modules `metrics` and `spans`: docs/telemetry.md is written from these, and
nothing else leaves a process.
"""

from shared.telemetry.batches import batch_span
from shared.telemetry.export import configure_telemetry, stop_telemetry
from shared.telemetry.recording import (
    Level,
    discarded_on_error,
    know_values,
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
    "know_values",
    "measure",
    "measured_on_success",
    "set_levels",
    "span",
    "stop_telemetry",
]
