"""A trace as a picture: a bar for each span, on an axis whose long waits are shortened.

An incident's spans take milliseconds and lie hours apart; on one scale none of them could be seen.
Stretches in which nothing begins or ends, far longer than all that happens, are therefore drawn as
gaps of a fixed width. Everything else has one scale, so the widths of bars can be compared.
"""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate, pairwise

from services.reporting.traces.domain.trace import Span

MAX_SPANS = 500
COLOURS = 8
_MAX_DEPTH = 10
_MIN_WAIT = 200_000
_GAP_WIDTH, _ALL_GAPS_WIDTH = 5.0, 40.0
_MIN_BAR_WIDTH = 0.5
_LABEL_ROOM, _LABEL_ROOM_ON_PHONES = 9.0, 24.0


class Shape(StrEnum):
    """How a span is drawn."""

    SOLID = "solid"
    """A bar whose width is proportional to the duration, on a scale that all of these share."""
    BROKEN = "broken"
    """A bar across a shortened wait: it is longer than its width says."""
    MARK = "mark"
    """A mark where the span begins: it is too short for a bar."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One span. `left` and `width` are in percent of the picture, `after` is in microseconds since
    the first span began. `parent` is None for a first span, and for one whose parent is missing.
    """

    span: Span
    depth: int
    parent: Span | None
    parent_missing: bool
    left: float
    width: float
    shape: Shape
    after: int
    colour: int


@dataclass(frozen=True, slots=True)
class Wait:
    """A shortened wait of `length` microseconds. It has a label where there is room for one;
    `roomy` if there is on wide screens only.
    """

    left: float
    width: float
    length: int
    labelled: bool
    roomy: bool


@dataclass(frozen=True, slots=True)
class Service:
    """A service of the trace, and how many of its spans are drawn."""

    name: str
    colour: int
    spans: int


@dataclass(frozen=True, slots=True)
class Waterfall:
    """All bars, each below its parent. `length` is in microseconds; `omitted` counts the spans that
    are not drawn.
    """

    bars: Sequence[Bar]
    waits: Sequence[Wait]
    services: Sequence[Service]
    length: int
    failed: int
    omitted: int


def draw(spans: Sequence[Span], limit: int = MAX_SPANS) -> Waterfall:
    """The picture of a trace that has spans. If there are too many, those nearest to the root are
    drawn.
    """
    ordered = _in_tree_order(spans)
    nearest = sorted(ordered, key=lambda item: (item[1], item[0].start))[:limit]
    kept = {span.span_id for span, _ in nearest}
    ordered = [item for item in ordered if item[0].span_id in kept]
    shown = {span.span_id: span for span, _ in ordered}
    axis = _Axis(shown.values())
    colours: dict[str, int] = {}
    for span in shown.values():
        colours.setdefault(span.service, len(colours) % COLOURS)
    counts = Counter(span.service for span in shown.values())
    return Waterfall(
        bars=[_bar(span, depth, shown, axis, colours[span.service]) for span, depth in ordered],
        waits=_label(axis.waits),
        services=[Service(name, colour, counts[name]) for name, colour in colours.items()],
        length=axis.points[-1] - axis.points[0],
        failed=sum(span.failed for span in shown.values()),
        omitted=len(spans) - len(shown),
    )


def _in_tree_order(spans: Sequence[Span]) -> list[tuple[Span, int]]:
    """Each span with its depth, below its parent, in order of time."""
    known = {span.span_id: span for span in spans}
    children: dict[str | None, list[Span]] = defaultdict(list)
    for span in sorted(spans, key=lambda span: (span.start, -span.length)):
        children[span.parent if span.parent in known else None].append(span)
    ordered: dict[str, tuple[Span, int]] = {}

    def walk(first: Iterable[Span]) -> None:
        stack = [(span, 0) for span in first][::-1]
        while stack:
            span, depth = stack.pop()
            if span.span_id not in ordered:
                ordered[span.span_id] = (span, depth)
                stack += [(child, depth + 1) for child in reversed(children[span.span_id])]

    walk(children[None])
    walk(spans)  # only spans that are each other's parents in a ring are left
    return list(ordered.values())


def _bar(span: Span, depth: int, shown: Mapping[str, Span], axis: "_Axis", colour: int) -> Bar:
    left, right = axis.at(span.start), axis.at(span.end)
    parent = shown.get(span.parent) if span.parent else None
    return Bar(
        span=span,
        depth=min(depth, _MAX_DEPTH),
        parent=parent,
        parent_missing=span.parent is not None and parent is None,
        left=round(left, 3),
        width=round(right - left, 3),
        shape=_shape(axis.has_wait(span), right - left),
        after=span.start - axis.points[0],
        colour=colour,
    )


def _shape(has_wait: bool, width: float) -> Shape:
    if has_wait:
        return Shape.BROKEN
    return Shape.SOLID if width >= _MIN_BAR_WIDTH else Shape.MARK


class _Axis:
    """The place of each moment, in percent. `waits` are (left, width, length)."""

    def __init__(self, spans: Iterable[Span]) -> None:
        self.points = sorted({moment for span in spans for moment in (span.start, span.end)})
        steps = [later - earlier for earlier, later in pairwise(self.points)]
        min_wait = _min_wait(steps)
        is_wait = [step >= min_wait for step in steps]
        widths = _widths(steps, is_wait)
        self._places = [0.0, *accumulate(widths)]
        self._waits_before = [0, *accumulate(is_wait)]
        self.waits = [
            (place, width, step)
            for place, width, step, waits in zip(self._places, widths, steps, is_wait, strict=False)
            if waits
        ]

    def at(self, moment: int) -> float:
        return self._places[self._index(moment)]

    def has_wait(self, span: Span) -> bool:
        """Whether a shortened wait is part of the span."""
        waits = self._waits_before
        return waits[self._index(span.end)] > waits[self._index(span.start)]

    def _index(self, moment: int) -> int:
        return bisect_right(self.points, moment) - 1


def _min_wait(steps: Iterable[int]) -> float:
    """From which length on a step is a wait: it is longer than all shorter steps together."""
    shorter = 0
    for step in sorted(steps):
        if step >= _MIN_WAIT and step > shorter:
            return step
        shorter += step
    return float("inf")


def _widths(steps: Sequence[int], is_wait: Sequence[bool]) -> list[float]:
    """Percent for each step: the same for every wait, and one scale for all else."""
    count = sum(is_wait)
    gap = min(_GAP_WIDTH, _ALL_GAPS_WIDTH / count) if count else 0.0
    to_scale = sum(step for step, waits in zip(steps, is_wait, strict=True) if not waits)
    unit = (100 - gap * count) / (to_scale or 1)
    return [gap if waits else unit * step for step, waits in zip(steps, is_wait, strict=True)]


def _label(waits: Sequence[tuple[float, float, int]]) -> list[Wait]:
    """The longest waits get their labels first; no label covers another."""
    always: list[float] = []
    roomy: list[float] = []
    drawn = []
    for left, width, length in sorted(waits, key=lambda wait: -wait[2]):
        middle = left + width / 2
        labelled = _distance(middle, always + roomy) >= _LABEL_ROOM
        fits_on_phones = labelled and _distance(middle, always) >= _LABEL_ROOM_ON_PHONES
        if fits_on_phones:
            always.append(middle)
        elif labelled:
            roomy.append(middle)
        drawn.append(Wait(round(left, 3), round(width, 3), length, labelled, not fits_on_phones))
    return sorted(drawn, key=lambda wait: wait.left)


def _distance(place: float, others: Iterable[float]) -> float:
    """To the nearest of the others; the whole width if there are none."""
    return min((abs(place - other) for other in others), default=100.0)
