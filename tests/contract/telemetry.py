"""docs/telemetry.md, from the declarations."""

from collections.abc import Iterable, Sequence
from itertools import starmap

from shared.runtime.discovery import service_packages
from shared.telemetry.attributes import Attribute
from shared.telemetry.declarations import declared_attributes, declared_metrics, declared_spans
from shared.telemetry.metrics import Metric
from shared.telemetry.spans import ON_FAILURE, Span

_HEAD = """# Spans, metrics and attributes

Written by `python -m tests.contract.generate` from the declarations in `shared/telemetry` and in the modules `metrics`
and `spans` of each service, which the code itself uses. A test runs an incident through the four services and fails on
anything that leaves them and is not declared here, and on anything here that never comes. How to switch them on, and
how traces hang together: [tracing](tracing.md), [operations](operations.md#metrics).

Names follow OpenTelemetry's semantic conventions where there is one; Tocsin's own start with `tocsin.`.
"""
_SPAN = ("services", "span", "kind", "parent", "meaning", "attributes")
_METRIC = ("metric", "in Prometheus", "instrument", "unit", "attributes", "services", "meaning")


def document() -> str:
    """The whole file."""
    parts = [
        _HEAD,
        f"## Spans\n\nA span that failed has the status `ERROR` and {_names(ON_FAILURE)} besides.\n",
        _table(
            ("service", "span", "kind", "hangs from", "tells", "attributes"),
            starmap(_span, declared_spans().items()),
        ),
        "## Metrics\n\nPrometheus adds `_bucket`, `_sum` and `_count` to a histogram's name and has `_` for dots.\n",
        _table(_METRIC, starmap(_metric, declared_metrics().items())),
        "Buckets of the histograms, in seconds: " + _buckets() + ".\n",
        "## Attributes\n\nThese are all there are. No name of a person, address, token, link or body is among them.\n",
        _table(
            ("attribute", "type", "values", "of", "meaning"), map(_attribute, declared_attributes())
        ),
    ]
    return "\n".join(parts)


def _span(span: Span, services: Sequence[str]) -> Sequence[str]:
    return (
        _services(services),
        f"`{span.pattern}`",
        span.kind,
        span.parent,
        span.meaning,
        _names(span.attributes),
    )


def _metric(metric: Metric, services: Sequence[str]) -> Sequence[str]:
    total = "_total" if "counter" in metric.instrument.split() else ""
    exposed, attributes = f"`{metric.prometheus}{total}`", _names(metric.attributes)
    return (
        f"`{metric.name}`",
        exposed,
        metric.instrument,
        metric.unit,
        attributes,
        _services(services),
        metric.meaning,
    )


def _services(names: Sequence[str]) -> str:
    return "all" if set(names) >= set(service_packages()) else ", ".join(names)


def _attribute(attribute: Attribute) -> Sequence[str]:
    of = "OpenTelemetry" if attribute.standard else "Tocsin"
    return f"`{attribute.name}`", attribute.type, ", ".join(attribute.values), of, attribute.meaning


def _buckets() -> str:
    (bounds,) = {
        metric.buckets for metric in declared_metrics() if metric.instrument == "histogram"
    }
    return ", ".join(f"{bound:g}" for bound in bounds)


def _names(attributes: Iterable[Attribute]) -> str:
    return ", ".join(f"`{attribute.name}`" for attribute in attributes)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
