"""Bytes in memory are bounded, and there is always room for another integration."""

from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.intake.signals.domain import Overloaded
from services.intake.signals.domain.backlog import MAX_BYTES, Backlog


def test_one_has_half_and_the_next_half_of_what_is_left() -> None:
    backlog = Backlog(100)
    with backlog.room("a") as a, backlog.room("b") as b, backlog.room("a") as more:
        a.resize(50)
        with pytest.raises(Overloaded):
            more.resize(1)
        b.resize(25)
        with pytest.raises(Overloaded):
            b.resize(26)
        assert backlog.size == 75
    assert backlog.size == 0


def test_the_largest_body_fits() -> None:
    with Backlog().room("a") as room:
        room.resize(32 * 1024 * 1024)
    assert MAX_BYTES < 100 * 1024 * 1024, "of the 320 MiB that intake's pods have"


def test_a_request_without_a_key_yet_is_given_to_its_integration() -> None:
    backlog = Backlog(100)
    with backlog.room("") as one, backlog.room("") as two:
        one.resize(50)
        one.give_to("a")
        two.resize(25)
    assert backlog.size == 0


def test_what_fails_gives_everything_back() -> None:
    backlog = Backlog(100)
    with backlog.room("a") as room:
        room.resize(40)
        with pytest.raises(Overloaded):
            room.resize(60)
        assert backlog.size == 40
    assert backlog.size == 0


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(1, 60)), max_size=30))
def test_whatever_comes_the_bound_holds_and_nothing_is_kept(
    requests: list[tuple[str, int]],
) -> None:
    backlog = Backlog(100)
    with ExitStack() as stack:
        taken = 0
        for name, size in requests:
            room = stack.enter_context(backlog.room(name))
            try:
                room.resize(size)
            except Overloaded:
                continue
            taken += size
            assert backlog.size == taken < 100
        stack.enter_context(backlog.room("new")).resize((100 - taken) // 2)
    assert backlog.size == 0
