"""A trace as a picture: which span stands where, on an axis whose long waits are cut short.

An incident's spans take milliseconds and lie hours apart; on one scale none of them could be seen.
Stretches in which nothing begins or ends, far longer than all that happens, are therefore drawn as
gaps, and what lies between two gaps has a scale of its own.
"""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from math import sqrt

from services.reporting.traces.domain.trace import Span

MOST_SPANS = 500
COLOURS = 8
_DEEPEST = 10
_SHORTEST_WAIT = 200_000
_WAIT_WIDTH, _ALL_WAITS = 5.0, 40.0
_LEAST_SHARE = 0.25
_LABEL_ROOM, _LABEL_ROOM_ON_PHONES = 9.0, 24.0


@dataclass(frozen=True, slots=True)
class Bar:
    """One span. `left` and `width` are in percent of the picture, `after` in microseconds since the
    first one began; `above` is the span that it hangs from, None for a first one and for one whose
    parent is `missing`.
    """

    span: Span
    depth: int
    above: Span | None
    missing: bool
    left: float
    width: float
    after: int
    colour: int


@dataclass(frozen=True, slots=True)
class Wait:
    """A gap of `length` microseconds. It is `labelled` where there is room, `roomy` if only a wide
    screen has it.
    """

    left: float
    width: float
    length: int
    labelled: bool
    roomy: bool


@dataclass(frozen=True, slots=True)
class Service:
    """A service of the trace, with how many of its spans are drawn."""

    name: str
    colour: int
    spans: int


@dataclass(frozen=True, slots=True)
class Waterfall:
    """All bars, each below the one it hangs from. `length` is in microseconds, `untold` counts
    spans left out.
    """

    bars: Sequence[Bar]
    waits: Sequence[Wait]
    services: Sequence[Service]
    length: int
    failed: int
    untold: int


def draw(spans: Sequence[Span], most: int = MOST_SPANS) -> Waterfall:
    """The picture of a trace that has spans. Of too many, those nearest to the beginning of the
    hierarchy are kept.
    """
    places = _hang(spans)
    nearest = sorted(places, key=lambda place: (place[1], place[0].start))[:most]
    kept = {span.span_id for span, _ in nearest}
    places = [place for place in places if place[0].span_id in kept]
    shown = {span.span_id: span for span, _ in places}
    axis = _Axis(shown.values())
    colours: dict[str, int] = {}
    for span in shown.values():
        colours.setdefault(span.service, len(colours) % COLOURS)
    counts = Counter(span.service for span in shown.values())
    return Waterfall(
        bars=[_bar(span, depth, shown, axis, colours[span.service]) for span, depth in places],
        waits=_label(axis.waits),
        services=[Service(name, colour, counts[name]) for name, colour in colours.items()],
        length=axis.points[-1] - axis.points[0],
        failed=sum(span.failed for span in shown.values()),
        untold=len(spans) - len(shown),
    )


def _hang(spans: Sequence[Span]) -> list[tuple[Span, int]]:
    """Each span with its depth, below its parent, in order of time."""
    known = {span.span_id: span for span in spans}
    below: dict[str | None, list[Span]] = defaultdict(list)
    for span in sorted(spans, key=lambda span: (span.start, -span.length)):
        below[span.parent if span.parent in known else None].append(span)
    places: dict[str, tuple[Span, int]] = {}

    def walk(first: Iterable[Span]) -> None:
        waiting = [(span, 0) for span in first][::-1]
        while waiting:
            span, depth = waiting.pop()
            if span.span_id not in places:
                places[span.span_id] = (span, depth)
                waiting += [(child, depth + 1) for child in reversed(below[span.span_id])]

    walk(below[None])
    walk(spans)  # only those that hang from each other in a ring are left
    return list(places.values())


def _bar(span: Span, depth: int, shown: Mapping[str, Span], axis: "_Axis", colour: int) -> Bar:
    left, right = axis.at(span.start), axis.at(span.end)
    above = shown.get(span.parent) if span.parent else None
    missing = span.parent is not None and above is None
    after = span.start - axis.points[0]
    return Bar(
        span,
        min(depth, _DEEPEST),
        above,
        missing,
        round(left, 3),
        round(right - left, 3),
        after,
        colour,
    )


class _Axis:
    """Where a moment stands, in percent."""

    def __init__(self, spans: Iterable[Span]) -> None:
        self.points = sorted({moment for span in spans for moment in (span.start, span.end)})
        steps = [later - earlier for earlier, later in pairwise(self.points)]
        least = _least_wait(steps)
        widths = _widths(steps, [step >= least for step in steps])
        self._places = [0.0, *accumulate(widths)]
        self.waits = [
            (place, width, step)
            for place, width, step in zip(self._places, widths, steps, strict=False)
            if step >= least
        ]

    def at(self, moment: int) -> float:
        return self._places[bisect_right(self.points, moment) - 1]


def _least_wait(steps: Iterable[int]) -> float:
    """From which length on a step is a wait: longer than all that is shorter together."""
    shorter = 0
    for step in sorted(steps):
        if step >= _SHORTEST_WAIT and step > shorter:
            return step
        shorter += step
    return float("inf")


def _widths(steps: Sequence[int], is_wait: Sequence[bool]) -> list[float]:
    """Percent for each step: the same for every wait; between them, each stretch in a scale of its
    own.
    """
    stretches = [0, *accumulate(is_wait)][:-1]  # how many waits are before a step
    lengths: Counter[int] = Counter()
    for stretch, step, waits in zip(stretches, steps, is_wait, strict=True):
        if not waits:
            lengths[stretch] += step
    count = sum(is_wait)
    gap = min(_WAIT_WIDTH, _ALL_WAITS / count) if count else 0.0
    longest = sqrt(max(lengths.values(), default=0)) or 1.0
    shares = {
        stretch: max(sqrt(length) / longest, _LEAST_SHARE) for stretch, length in lengths.items()
    }
    unit = (100 - gap * count) / (sum(shares.values()) or 1)
    return [
        gap if waits else unit * shares[stretch] * step / lengths[stretch]
        for stretch, step, waits in zip(stretches, steps, is_wait, strict=True)
    ]


def _label(waits: Sequence[tuple[float, float, int]]) -> list[Wait]:
    """The longest waits have their label first; none stands on another."""
    always: list[float] = []
    roomy: list[float] = []
    drawn = []
    for left, width, length in sorted(waits, key=lambda wait: -wait[2]):
        middle = left + width / 2
        if fits := all(abs(middle - other) >= _LABEL_ROOM_ON_PHONES for other in always + roomy):
            always.append(middle)
        elif narrow := all(abs(middle - other) >= _LABEL_ROOM for other in always + roomy):
            roomy.append(middle)
        drawn.append(Wait(round(left, 3), round(width, 3), length, fits or narrow, not fits))
    return sorted(drawn, key=lambda wait: wait.left)
