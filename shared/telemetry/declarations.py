"""Which metrics and spans each service declares.

A service declares them in its modules `metrics` (METRICS) and `spans` (SPANS), and its package is
an entry point of the group `tocsin.telemetry`. Instruments and docs/telemetry.md are made from
these, so that there is no name that is not declared.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint

from shared.runtime.discovery import TELEMETRY, installed
from shared.telemetry.attributes import Attribute
from shared.telemetry.metrics import SERVICE_METRICS, Metric
from shared.telemetry.spans import BATCH_SPANS, ON_FAILURE, Span


@dataclass(frozen=True, slots=True)
class Declarations:
    """All metrics and spans that a service can have, those of every service included."""

    service: str
    metrics: tuple[Metric, ...]
    spans: tuple[Span, ...]


@cache
def all_declarations() -> Sequence[Declarations]:
    """Those of every service that is installed, by name."""
    return tuple(map(_load, installed(TELEMETRY)))


def declarations_of(service: str) -> Declarations:
    """Those of one service; one that names no package has what every service has."""
    for entry in installed(TELEMETRY):
        if entry.name == service:
            return _load(entry)
    return Declarations(service, SERVICE_METRICS, BATCH_SPANS)


def declared_metrics() -> dict[Metric, list[str]]:
    """Every metric, and the services that have it."""
    services: dict[Metric, list[str]] = {}
    for declared in all_declarations():
        for metric in declared.metrics:
            services.setdefault(metric, []).append(declared.service)
    return services


def declared_spans() -> dict[Span, list[str]]:
    """Every span, and the services that make it."""
    services: dict[Span, list[str]] = {}
    for declared in all_declarations():
        for span in declared.spans:
            services.setdefault(span, []).append(declared.service)
    return services


def declared_attributes() -> Sequence[Attribute]:
    """Every attribute of a metric or span, each once."""
    return tuple(dict.fromkeys(_attributes()))


def _attributes() -> Iterator[Attribute]:
    for span in declared_spans():
        yield from span.attributes
    for metric in declared_metrics():
        yield from metric.attributes
    yield from ON_FAILURE


def _load(entry: EntryPoint) -> Declarations:
    metrics = import_module(f"{entry.value}.metrics").METRICS
    return Declarations(entry.name, metrics, import_module(f"{entry.value}.spans").SPANS)
