"""docs/telemetry.md, from the declarations."""

from collections.abc import Iterable, Sequence

from shared.telemetry.attributes import ATTRIBUTES, Attribute
from shared.telemetry.metrics import METRICS, Metric
from shared.telemetry.spans import ON_FAILURE, SPANS, Span

_HEAD = """# Spans, metrics and attributes

Written by `python -m tests.contract.generate` from `shared/telemetry`, where the code takes them from; a test runs an
incident through the four services and fails on anything that leaves them and does not stand here, and on anything here
that never comes. How to switch them on, and how traces hang together: [tracing](tracing.md),
[operations](operations.md#metrics).

Names follow OpenTelemetry's semantic conventions where there is one; Tocsin's own start with `tocsin.`.
"""
_METRIC = ("metric", "in Prometheus", "instrument", "unit", "attributes", "services", "meaning")


def document() -> str:
    """The whole file."""
    parts = [
        _HEAD,
        f"## Spans\n\nA span that failed has the status `ERROR` and {_names(ON_FAILURE)} besides.\n",
        _table(("service", "span", "kind", "hangs from", "tells", "attributes"), map(_span, SPANS)),
        "## Metrics\n\nPrometheus adds `_bucket`, `_sum` and `_count` to a histogram's name and has `_` for dots.\n",
        _table(_METRIC, map(_metric, METRICS)),
        "Buckets of the histograms, in seconds: " + _buckets() + ".\n",
        "## Attributes\n\nThese are all there are. No name of a person, address, token, link or body is among them.\n",
        _table(("attribute", "type", "values", "of", "meaning"), map(_attribute, ATTRIBUTES)),
    ]
    return "\n".join(parts)


def _span(span: Span) -> Sequence[str]:
    return (
        span.service,
        f"`{span.pattern}`",
        span.kind,
        span.parent,
        span.meaning,
        _names(span.attributes),
    )


def _metric(metric: Metric) -> Sequence[str]:
    total = "_total" if "counter" in metric.instrument.split() else ""
    services = "all" if len(metric.services) == 4 else ", ".join(metric.services)
    exposed, attributes = f"`{metric.prometheus}{total}`", _names(metric.attributes)
    return (
        f"`{metric.name}`",
        exposed,
        metric.instrument,
        metric.unit,
        attributes,
        services,
        metric.meaning,
    )


def _attribute(attribute: Attribute) -> Sequence[str]:
    of = "OpenTelemetry" if attribute.standard else "Tocsin"
    return f"`{attribute.name}`", attribute.type, ", ".join(attribute.values), of, attribute.meaning


def _buckets() -> str:
    (bounds,) = {metric.buckets for metric in METRICS if metric.instrument == "histogram"}
    return ", ".join(f"{bound:g}" for bound in bounds)


def _names(attributes: Iterable[Attribute]) -> str:
    return ", ".join(f"`{attribute.name}`" for attribute in attributes)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
