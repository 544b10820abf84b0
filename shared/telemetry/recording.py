"""Measurements on their way into instruments. What a transaction measures is recorded when it has
committed, or never.
"""

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Any, TypeAlias

from opentelemetry.context import Context
from opentelemetry.metrics import CallbackOptions, Meter, Observation

from shared.events.trace_context import TraceContext
from shared.telemetry.attributes import Attribute
from shared.telemetry.metrics import Metric
from shared.telemetry.state import CURRENT, Values
from shared.telemetry.tracing import exemplar_context


@dataclass(frozen=True, slots=True)
class Level:
    """A metric's level as it was read."""

    metric: Metric
    value: float
    values: Values = ()


_Entry: TypeAlias = tuple[Metric, float, Values, TraceContext | None]

_NOWHERE = Context()
_pending: ContextVar[list[_Entry] | None] = ContextVar("pending", default=None)


def measure(
    metric: Metric, amount: float, *values: str | int, trace: TraceContext | None = None
) -> None:
    """Add to a counter, or record in a histogram, where `trace` becomes the exemplar of its bucket.

    Nothing happens while metrics are off. A count is an addition; a histogram costs some 10 us for
    each value.
    """
    if len(values) != len(metric.attributes):
        raise ValueError(f"{metric.name} has {len(metric.attributes)} attributes")
    entry = (metric, amount, values, trace)
    if (entries := _pending.get()) is None:
        _write(entry)
    else:
        entries.append(entry)


def measure_immediately(metric: Metric, amount: float, *values: str | int) -> None:
    """Record now, even if the transaction rolls back."""
    _write((metric, amount, values, None))


@contextmanager
def measured_on_success() -> Iterator[None]:
    """Record what is measured in the block when the block ends without an exception."""
    entries: list[_Entry] = []
    token = _pending.set(entries)
    try:
        yield
    finally:
        _pending.reset(token)
    for entry in entries:
        _write(entry)


@contextmanager
def discarded_on_error() -> Iterator[None]:
    """Discard what is measured in the block when it raises, as a rolled-back savepoint does."""
    entries = _pending.get()
    before = len(entries or ())
    try:
        yield
    except BaseException:
        if entries is not None:
            del entries[before:]
        raise


def set_levels(metrics: Iterable[Metric], found: Iterable[Level]) -> None:
    """Replace all levels of these metrics by those that were found."""
    fresh: dict[Metric, dict[Values, float]] = {metric: {} for metric in metrics}
    for level in found:
        fresh[level.metric][level.values] = level.value
    CURRENT.series.update(fresh)  # whole dictionaries: other threads read them


def level_metrics() -> list[Metric]:
    """The metrics of this process that are levels."""
    return [metric for metric in CURRENT.instruments if metric.is_level]


def make_instruments(meter: Meter, metrics: Collection[Metric]) -> None:
    """One instrument per metric. Counters begin at 0: to Prometheus, a first 1 is no rise."""
    CURRENT.instruments = {metric: _instrument(meter, metric) for metric in metrics}
    for metric in metrics:
        _begin_at_zero(metric)


def know_values(attribute: Attribute, values: Iterable[str]) -> None:
    """Start counters at 0 for these values of a registry, which no declaration lists."""
    CURRENT.known_values[attribute] = tuple(values)
    for metric in CURRENT.instruments:
        if attribute in metric.attributes:
            _begin_at_zero(metric)


def drop_instruments() -> None:
    """Record nothing from here on."""
    CURRENT.instruments = {}
    CURRENT.series.clear()
    CURRENT.known_values.clear()


def _begin_at_zero(metric: Metric) -> None:
    if metric.instrument != "counter":
        return
    known = CURRENT.known_values
    options = (attribute.values or known.get(attribute, ()) for attribute in metric.attributes)
    for values in product(*options):
        measure_immediately(metric, 0, *values)


def _instrument(meter: Meter, metric: Metric) -> Any:
    name, unit, meaning = metric.name, metric.unit, metric.meaning

    def read(_: CallbackOptions) -> list[Observation]:
        known = CURRENT.series.get(metric, {}).copy()  # at once: others count meanwhile
        return [
            Observation(value, _named(metric, values), _NOWHERE) for values, value in known.items()
        ]

    match metric.instrument:
        case "histogram":
            return meter.create_histogram(
                name, unit, meaning, explicit_bucket_boundaries_advisory=metric.buckets
            ).record
        case "gauge":
            return meter.create_observable_gauge(name, [read], unit, meaning)
        case "updowncounter":
            return meter.create_observable_up_down_counter(name, [read], unit, meaning)
        case "counter" | "observable counter":
            return meter.create_observable_counter(name, [read], unit, meaning)


def _write(entry: _Entry) -> None:
    metric, amount, values, trace = entry
    instrument = CURRENT.instruments.get(metric)
    if instrument is None:
        return
    if metric.instrument == "counter":
        series = CURRENT.series.setdefault(metric, {})
        series[values] = series.get(values, 0) + amount
        return
    # Never the surrounding context, which is not set by Tocsin.
    instrument(amount, _named(metric, values), exemplar_context(trace) or _NOWHERE)


@lru_cache(maxsize=4096)
def _named(metric: Metric, values: Values) -> dict[str, str | int]:
    pairs = zip(metric.attributes, values, strict=True)
    return {attribute.name: value for attribute, value in pairs if value != ""}
