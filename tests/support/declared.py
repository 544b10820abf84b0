"""Compares what services export with what is declared; each function describes the differences."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from prometheus_client.core import Metric as Family

from shared.telemetry.attributes import Attribute
from shared.telemetry.declarations import declarations_of, declared_metrics
from shared.telemetry.metrics import Metric
from shared.telemetry.spans import ON_FAILURE, Span
from tests.support.otlp import Exported, Point
from tests.support.running import SERVICES

OUR_SPANS = {service: declarations_of(service).spans for service in SERVICES}
_INSTRUMENTS = {"observable counter": "counter"}
_FAMILIES = {"observable counter": "counter", "updowncounter": "gauge"}


def metrics_of(service: str) -> set[Metric]:
    """The metrics that a service declares."""
    return set(declarations_of(service).metrics)


def declaration_of(span: Exported) -> Span | None:
    """The declaration of a span."""
    of_service = OUR_SPANS[span.service.removeprefix("tocsin-")]
    return next(
        (it for it in of_service if it.name == span.name or _varied(it, span) == span.name), None
    )


def _varied(declared: Span, span: Exported) -> str:
    return (
        f"{declared.name} {span.attributes.get(declared.varies.name)}"
        if declared.varies
        else declared.name
    )


def undeclared_spans(spans: Iterable[Exported]) -> Iterator[str]:
    """Spans and attributes that are not declared."""
    for span in spans:
        declared = declaration_of(span)
        if declared is None:
            yield f"{span.label} is not declared"
            continue
        if span.kind != declared.kind:
            yield f"{span.label} is of kind {span.kind}"
        allowed = (*declared.attributes, *(ON_FAILURE if span.error else ()))
        yield from (f"{span.label}: {what}" for what in _undeclared(span.attributes, allowed))


def missing_spans(spans: Iterable[Exported]) -> set[str]:
    """Declared spans that never came, and declared attributes that none of their spans had."""
    came: dict[Span, set[str]] = {}
    for span in spans:
        if declared := declaration_of(span):
            came.setdefault(declared, set()).update(span.attributes)
    return {
        f"{declared.pattern} {attribute and attribute.name}"
        for declared in {span for spans in OUR_SPANS.values() for span in spans}
        for attribute in (None, *declared.attributes)
        if declared not in came or (attribute and attribute.name not in came[declared])
    }


def undeclared_points(service: str, points: Iterable[Point]) -> Iterator[str]:
    """Metrics, attributes and values that are not declared."""
    declared = {metric.name: metric for metric in metrics_of(service)}
    for point in points:
        metric = declared.get(point.name)
        if metric is None:
            yield f"{service} {point.name} is not declared"
            continue
        instrument = _INSTRUMENTS.get(metric.instrument, metric.instrument)
        if (point.unit, point.instrument) != (metric.unit, instrument):
            yield f"{service} {point.name} is a {point.instrument} in {point.unit}"
        yield from (
            f"{service} {point.name}: {what}"
            for what in _undeclared(point.attributes, metric.attributes)
        )


def missing_metrics(points: Mapping[str, Sequence[Point]]) -> set[str]:
    """Declared metrics that a service never exported, counters that never increased anywhere, and
    declared attributes that no point had (except those of failures).
    """
    ours = {metric for service in SERVICES for metric in metrics_of(service)}
    of = {service: points.get(f"tocsin-{service}", []) for service in SERVICES}
    everywhere = [point for found in of.values() for point in found]
    risen = {point.name for point in everywhere if point.value}
    had = {(point.name, attribute) for point in everywhere for attribute in point.attributes}
    return {
        *(
            f"{s} {m.name}"
            for s in SERVICES
            for m in metrics_of(s)
            if m.name not in {point.name for point in of[s]}
        ),
        *(f"{m.name} rises" for m in ours if not m.is_level and m.name not in risen),
        *(
            f"{metric.name} {attribute.name}"
            for metric in ours
            for attribute in metric.attributes
            if attribute not in ON_FAILURE and (metric.name, attribute.name) not in had
        ),
    }


def families_of(service: str) -> dict[str, str]:
    """Names and types that Prometheus must find."""
    return {
        metric.prometheus: _FAMILIES.get(metric.instrument, metric.instrument)
        for metric in metrics_of(service)
    }


def undeclared_labels(families: Iterable[Family]) -> set[str]:
    """Labels that are not declared, as `metric label`."""
    allowed = {
        metric.prometheus: {
            "le",
            *(attribute.name.replace(".", "_") for attribute in metric.attributes),
        }
        for metric in declared_metrics()
    }
    return {
        f"{family.name} {label}"
        for family in families
        for sample in family.samples
        for label in sample.labels.keys() - allowed[family.name]
    }


def _undeclared(found: Mapping[str, str | int], allowed: Sequence[Attribute]) -> Iterator[str]:
    declared = {attribute.name: attribute for attribute in allowed}
    for name, value in found.items():
        attribute = declared.get(name)
        if attribute is None:
            yield f"{name} is not declared"
        elif isinstance(value, int) != (attribute.type == "int"):
            yield f"{name} is no {attribute.type}"
        elif attribute.values and value not in attribute.values:
            yield f"{name} is {value}"
