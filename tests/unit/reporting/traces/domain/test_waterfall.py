"""Where a span stands in the picture of its trace, and how wide it is."""

import random
from itertools import pairwise

import pytest

from services.reporting.traces.domain.trace import Span
from services.reporting.traces.domain.waterfall import COLOURS, MAX_SPANS, Bar, Shape, draw

MILLISECOND, SECOND = 1000, 1_000_000


def span(name: str, parent: str | None, start: int, length: int, service: str = "intake") -> Span:
    return Span(name, parent, service, name, start, length)


def bars(*spans: Span) -> dict[str, Bar]:
    return {bar.span.name: bar for bar in draw(spans).bars}


def test_a_short_trace_is_drawn_to_scale() -> None:
    drawn = bars(span("a", None, 0, 100), span("b", "a", 25, 50), span("c", "b", 50, 0))
    assert [(bar.left, bar.width, bar.depth) for bar in drawn.values()] == [
        (0, 100, 0),
        (25, 50, 1),
        (50, 0, 2),
    ]


def test_milliseconds_are_seen_beside_hours() -> None:
    hour = 3600 * SECOND
    drawn = bars(
        span("report", None, 0, 2 * MILLISECOND),
        span("page", "report", 12 * MILLISECOND, 30 * MILLISECOND),
        span("acknowledge", "report", 30 * SECOND, 3 * MILLISECOND),
        span("resolve", "report", hour, 4 * MILLISECOND),
    )
    assert all(bar.width > 2 for bar in drawn.values())
    assert 14 < drawn["page"].width / drawn["report"].width < 16, (
        "within a stretch the scale is one"
    )
    assert drawn["resolve"].left + drawn["resolve"].width == pytest.approx(100)


def test_waits_are_shortened_and_labelled_with_their_length() -> None:
    spans = [span(str(minute), None, minute * 60 * SECOND, MILLISECOND) for minute in range(4)]
    waits = draw(spans).waits
    assert [wait.length for wait in waits] == [60 * SECOND - MILLISECOND] * 3
    assert [wait.labelled for wait in waits] == [True] * 3


def test_a_span_that_lasts_through_a_wait_is_shortened_with_it() -> None:
    drawn = bars(span("page", None, 0, 10 * SECOND), span("connect", "page", 0, 10 * MILLISECOND))
    assert drawn["page"].width == 100
    assert drawn["connect"].width > 50


def test_many_waits_leave_room_for_what_happens() -> None:
    spans = [span(f"{n}", None, n * 900 * SECOND, 5 * MILLISECOND) for n in range(60)]
    picture = draw(spans)
    assert len(picture.waits) == 59
    assert min(bar.width for bar in picture.bars) > 0.5
    middles = sorted(wait.left + wait.width / 2 for wait in picture.waits if wait.labelled)
    assert min(later - earlier for earlier, later in pairwise(middles)) >= 9
    labelled = [wait for wait in picture.waits if wait.labelled]
    always = sorted(wait.left + wait.width / 2 for wait in labelled if not wait.roomy)
    assert 1 < len(always) < len(labelled)
    assert min(later - earlier for earlier, later in pairwise(always)) >= 24


def test_children_stand_below_their_parent_in_order_of_time() -> None:
    spans = [
        span("late", "a", 9, 1),
        span("deep", "early", 5, 1),
        span("a", None, 0, 10),
        span("early", "a", 1, 1),
    ]
    assert [(name, bar.depth) for name, bar in bars(*spans).items()] == [
        ("a", 0),
        ("early", 1),
        ("deep", 2),
        ("late", 1),
    ]


def test_a_span_whose_parent_is_missing_says_so() -> None:
    drawn = bars(span("a", "elsewhere", 0, 1), span("b", "a", 0, 1))
    assert (drawn["a"].parent_missing, drawn["a"].parent, drawn["b"].parent_missing) == (
        True,
        None,
        False,
    )
    assert drawn["b"].parent == drawn["a"].span


def test_spans_that_are_each_others_parents_are_drawn_once() -> None:
    drawn = draw([span("a", "b", 0, 1), span("b", "a", 0, 1), span("c", "c", 0, 1)])
    assert sorted(bar.span.name for bar in drawn.bars) == ["a", "b", "c"]


def test_of_too_many_the_deepest_are_left_out_and_counted() -> None:
    spans = [span("root", None, 0, 10)]
    spans += [span(f"call {n}", "root" if n < 3 else f"call {n % 3}", n, 1) for n in range(2000)]
    picture = draw(spans)
    assert (len(picture.bars), picture.omitted) == (MAX_SPANS, 2001 - MAX_SPANS)
    assert {"root", "call 0", "call 1", "call 2"} <= {bar.span.name for bar in picture.bars}
    assert not any(bar.parent_missing for bar in picture.bars)


def test_a_chain_as_deep_as_it_likes_is_drawn() -> None:
    chain = [span(str(n), str(n - 1) if n else None, n, 1) for n in range(3000)]
    assert max(bar.depth for bar in draw(chain).bars) == 10


def test_every_service_has_its_colour() -> None:
    spans = [span(str(n), None, n, 1, service=f"service {n // 2}") for n in range(40)]
    picture = draw(spans)
    assert [service.spans for service in picture.services] == [2] * 20
    assert {bar.colour for bar in picture.bars} == set(range(COLOURS))


@pytest.mark.parametrize("seed", range(20))
def test_whatever_the_spans_are_every_bar_is_in_the_picture(seed: int) -> None:
    source = random.Random(seed)  # noqa: S311
    longest = 10 ** source.randrange(1, 15)
    spans = [
        span(
            str(n),
            str(source.randrange(60)),
            source.randrange(longest),
            source.randrange(longest) // 10**n,
        )
        for n in range(source.randrange(1, 50))
    ]
    picture = draw(spans)
    assert sorted(bar.span.name for bar in picture.bars) == sorted(span.name for span in spans)
    for bar in picture.bars:
        assert -0.01 <= bar.left <= bar.left + bar.width <= 100.01
    by_start = sorted(picture.bars, key=lambda bar: bar.span.start)
    assert [bar.left for bar in by_start] == sorted(bar.left for bar in picture.bars)


def test_a_bar_is_never_wider_than_that_of_a_longer_span_elsewhere() -> None:
    """A wait lies between the two: each side once had a scale of its own."""
    drawn = bars(
        span("page", None, 0, 20 * MILLISECOND), span("acknowledge", "page", 60 * SECOND, 368)
    )
    assert drawn["page"].shape is drawn["acknowledge"].shape is Shape.SOLID
    assert drawn["page"].width / drawn["acknowledge"].width == pytest.approx(20_000 / 368, rel=0.01)


def test_what_is_too_short_for_a_bar_is_a_mark() -> None:
    drawn = bars(span("page", None, 0, 100 * MILLISECOND), span("note", "page", 5, 300))
    assert drawn["note"].shape is Shape.MARK


def test_a_bar_across_a_shortened_wait_shows_that_it_is_longer() -> None:
    drawn = bars(
        span("page", None, 0, 10 * SECOND),
        span("connect", "page", 0, 10 * MILLISECOND),
        span("send", "page", 10 * MILLISECOND, 30 * MILLISECOND),
    )
    assert {name: bar.shape for name, bar in drawn.items()} == {
        "page": Shape.BROKEN,
        "connect": Shape.SOLID,
        "send": Shape.SOLID,
    }


@pytest.mark.parametrize("seed", range(20))
def test_whatever_the_spans_are_solid_bars_have_one_scale_and_marks_are_shorter(seed: int) -> None:
    source = random.Random(seed)  # noqa: S311
    spans = [
        span(str(n), None, source.choice([0, 60, 3600]) * SECOND + source.randrange(10**6), length)
        for n, length in enumerate(source.randrange(10 ** (1 + n % 6)) for n in range(40))
    ]
    drawn = draw(spans).bars
    solid = [bar for bar in drawn if bar.shape is Shape.SOLID]
    assert solid
    widest = max(solid, key=lambda bar: bar.span.length)
    for bar in solid:
        expected = widest.width * bar.span.length / widest.span.length
        assert bar.width == pytest.approx(expected, abs=0.01)
    shortest = min(bar.span.length for bar in solid)
    assert all(bar.span.length < shortest for bar in drawn if bar.shape is Shape.MARK)
