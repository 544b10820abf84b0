"""What this process records spans and metrics with."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider

from shared.telemetry.attributes import Attribute
from shared.telemetry.metrics import Metric

Values: TypeAlias = tuple[str | int, ...]
"""Of a metric's attributes, in their order."""


@dataclass(slots=True)
class Telemetry:
    """Everything is off until `configure_telemetry`. `series` has the numbers of counters and
    levels, which are read when metrics are collected. `known_values` are values of attributes that
    only the running process knows, by attribute.
    """

    tracer_provider: TracerProvider | None = None
    meter_provider: MeterProvider | None = None
    scraped: InMemoryMetricReader | None = None
    instruments: Mapping[Metric, Any] = field(default_factory=dict)
    series: dict[Metric, dict[Values, float]] = field(default_factory=dict)
    known_values: dict[Attribute, tuple[str, ...]] = field(default_factory=dict)


CURRENT = Telemetry()
"""The one of this process. It is not passed around: `span` and `measure` are called everywhere, and
what they do must not show in the signature of every function. Tests replace its fields.
"""
