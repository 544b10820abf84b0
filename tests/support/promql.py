"""Analyses PromQL: names in an expression that Tocsin does not expose, and the series that it
selects.
"""

import re
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from typing import NamedTuple, cast

from promql_parser import (
    AggModifierType,
    AggregateExpr,
    BinaryExpr,
    Call,
    Expr,
    Matcher,
    MatchOp,
    MatrixSelector,
    ParenExpr,
    VectorSelector,
    parse,
    walk,
)

from services.intake.app import make_api
from services.intake.gateways.http import Services
from shared.runtime.health import _LATE_ONLY
from shared.telemetry.attributes import COMPONENT, ROUTE, STATUS, Attribute
from shared.telemetry.declarations import all_declarations, declared_attributes, declared_metrics
from shared.telemetry.metrics import Metric

SCRAPED = tuple(declared.service for declared in all_declarations())
LATE_ONLY = _LATE_ONLY
_ON_TARGETS = {"job", "instance"}  # added by Prometheus to all that it scrapes, and to `up`
_NONE: set[str] = set()
_SERIES = {
    "counter": {"_total": _NONE},
    "observable counter": {"_total": _NONE},
    "histogram": {"_bucket": {"le"}, "_sum": _NONE, "_count": _NONE},
}


def _label(attribute: Attribute) -> str:
    return attribute.name.replace(".", "_")


def _labels(metric: Metric) -> dict[str, set[str]]:
    own = _ON_TARGETS | {_label(attribute) for attribute in metric.attributes}
    series = _SERIES.get(metric.instrument, {"": _NONE})
    return {metric.prometheus + suffix: own | more for suffix, more in series.items()}


def _values() -> dict[str, set[str]]:
    intake = make_api(cast("Services", None))
    return {
        **{_label(attribute): set(attribute.values) for attribute in declared_attributes()},
        _label(ROUTE): {str(getattr(route, "path", "")) for route in intake.routes},
        _label(STATUS): {str(status.value) for status in HTTPStatus},
        _label(COMPONENT): set(LATE_ONLY),
        "job": {f"tocsin-{service}" for service in SCRAPED},
    }


LABELS = {"up": _ON_TARGETS} | {
    name: labels for metric in declared_metrics() for name, labels in _labels(metric).items()
}
"""Labels by the name of the series in Prometheus."""
VALUES = _values()
"""Possible values of labels."""


class Sample(NamedTuple):
    """A sample as Prometheus stores it."""

    name: str
    labels: dict[str, str]
    value: float


def selectors(node: Expr) -> list[VectorSelector]:
    """All vector selectors of an expression."""
    found: list[VectorSelector] = []

    def visit(part: Expr) -> None:
        if isinstance(part, VectorSelector):
            found.append(part)

    walk(node, visit)
    return found


def unknown(text: str) -> list[str]:
    """Descriptions of names that nobody exposes. ValueError when the text is no PromQL."""
    wrong: list[str] = []

    def visit(part: Expr) -> None:
        if isinstance(part, VectorSelector):
            wrong.extend(_not_exposed(part))
        elif isinstance(part, AggregateExpr) and part.modifier:
            wrong.extend(_not_had(part, part.modifier.labels))
        elif isinstance(part, BinaryExpr) and part.modifier and part.modifier.matching:
            wrong.extend(_not_had(part, part.modifier.matching.labels))

    walk(parse(text), visit)
    return wrong


def _not_exposed(selector: VectorSelector) -> Iterator[str]:
    if selector.name not in LABELS:
        yield f"no metric {selector.name}"
        return
    for matcher in selector.matchers.matchers:
        if matcher.name in LABELS[selector.name]:
            never = (value for value in _alternatives(matcher) if not _ever(matcher.name, value))
            yield from (f"{matcher.name} is never {value}" for value in never)
        else:
            yield f"{selector.name} has no {matcher.name}"


def _not_had(node: Expr, labels: Iterable[str]) -> Iterator[str]:
    for selector in selectors(node):
        missing = set(labels) - LABELS.get(selector.name or "", set())
        yield from (f"{selector.name} has no {label}" for label in sorted(missing))


def _alternatives(matcher: Matcher) -> list[str]:
    """The alternatives of a pattern, each of which must match something: `a|b`, and `x(a|b)`."""
    if matcher.op in (MatchOp.Equal, MatchOp.NotEqual):
        return [re.escape(matcher.value)]
    if grouped := re.fullmatch(r"(.*)\((.*)\)", matcher.value):
        return [grouped[1] + one for one in grouped[2].split("|")]
    return matcher.value.split("|")


def _ever(label: str, pattern: str) -> bool:
    return any(re.fullmatch(pattern, value) for value in VALUES.get(label, set()))


def labels_left(node: Expr) -> set[str]:
    """The labels of an expression's result."""
    match node:
        case AggregateExpr(modifier=None):
            return set()
        case AggregateExpr(modifier=modifier) if modifier and modifier.type == AggModifierType.By:
            return set(modifier.labels)
        case BinaryExpr() if str(node.op) == "or":
            return labels_left(node.lhs) & labels_left(node.rhs)
        case BinaryExpr():
            return labels_left(node.lhs) or labels_left(node.rhs)
        case Call() if node.func.name == "absent":
            return {
                matcher.name
                for matcher in node.args[0].matchers.matchers
                if matcher.op == MatchOp.Equal
            }
        case Call():
            return {label for argument in node.args for label in labels_left(argument)} - {"le"}
        case ParenExpr():
            return labels_left(node.expr)
        case MatrixSelector():
            return labels_left(node.vector_selector)
        case VectorSelector():
            return LABELS[node.name or ""]
    return set()


def taken(selector: VectorSelector, samples: Iterable[Sample]) -> list[float]:
    """Values of the series that a selector selects."""
    of_name = (sample for sample in samples if sample.name == selector.name)
    return [
        sample.value
        for sample in of_name
        if all(_fits(m, sample.labels) for m in selector.matchers.matchers)
    ]


def _fits(matcher: Matcher, labels: dict[str, str]) -> bool:
    pattern = (
        re.escape(matcher.value)
        if matcher.op in (MatchOp.Equal, MatchOp.NotEqual)
        else matcher.value
    )
    found = re.fullmatch(pattern, labels.get(matcher.name, "")) is not None
    return found == (matcher.op in (MatchOp.Equal, MatchOp.Re))
