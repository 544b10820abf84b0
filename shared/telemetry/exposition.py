"""Metrics as Prometheus reads them: its text format, or OpenMetrics with examples for who asks for
that.
"""

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

from opentelemetry.sdk.metrics import Exemplar
from opentelemetry.sdk.metrics.export import (
    Histogram,
    HistogramDataPoint,
    MetricsData,
    NumberDataPoint,
    Sum,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.core import Exemplar as Example
from prometheus_client.core import Metric as Family
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from shared.telemetry.metrics import Metric
from shared.telemetry.state import CURRENT

Bucket: TypeAlias = tuple[str, float] | tuple[str, float, Example]

_NANOSECONDS = 1e9


def expose(data: MetricsData, accept: str) -> tuple[bytes, str]:
    """The text and its content type, by the request's Accept header."""
    encode, content_type = choose_encoder(accept)
    return encode(_Collected(data)), content_type


class _Collected(Collector):
    def __init__(self, data: MetricsData) -> None:
        self._data = data

    def collect(self) -> Iterator[Family]:
        """One family a metric."""
        declared = {metric.name: metric for metric in CURRENT.instruments}
        for resource in self._data.resource_metrics:
            for scope in resource.scope_metrics:
                yield from (_family(declared[found.name], found.data) for found in scope.metrics)


def _family(metric: Metric, data: Any) -> Family:
    # Prometheus wants the same labels on each of a metric's series: an empty one is as good as
    # none.
    labels = [attribute.name.replace(".", "_") for attribute in metric.attributes]
    named = (metric.prometheus, metric.meaning)
    if isinstance(data, Histogram):
        histogram = HistogramMetricFamily(*named, labels=labels)
        for point in data.data_points:
            histogram.add_metric(_labels(metric, point), _buckets(point), point.sum)
        return histogram
    counted = isinstance(data, Sum) and data.is_monotonic
    family = (
        CounterMetricFamily(*named, labels=labels)
        if counted
        else GaugeMetricFamily(*named, labels=labels)
    )
    for point in data.data_points:
        family.add_metric(_labels(metric, point), point.value)
    return family


def _labels(metric: Metric, point: NumberDataPoint | HistogramDataPoint) -> list[str]:
    attributes = point.attributes or {}
    return [str(attributes.get(attribute.name, "")) for attribute in metric.attributes]


def _buckets(point: HistogramDataPoint) -> list[Bucket]:
    bounds = [*point.explicit_bounds, float("inf")]
    examples = {_bucket(bounds, found.value): found for found in point.exemplars}
    total = 0
    buckets: list[Bucket] = []
    for bound, count in zip(bounds, point.bucket_counts, strict=True):
        total += count
        label = "+Inf" if bound == float("inf") else str(float(bound))
        found = examples.get(bound)
        buckets.append((label, total, _example(found)) if found else (label, total))
    return buckets


def _example(found: Exemplar) -> Example:
    place = {"trace_id": f"{found.trace_id or 0:032x}", "span_id": f"{found.span_id or 0:016x}"}
    return Example(place, found.value, found.time_unix_nano / _NANOSECONDS)


def _bucket(bounds: Sequence[float], value: float) -> float:
    return next(bound for bound in bounds if value <= bound)
