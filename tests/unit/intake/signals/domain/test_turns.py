"""Integrations take turns: who sends much delays only itself; requests are answered whole."""

from asyncio import AbstractEventLoop, new_event_loop
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.intake.signals.domain import AlertData, Decision, Signal, Taken
from services.intake.signals.domain.turns import (
    MAX_BATCH,
    MAX_BATCH_BYTES,
    TURN,
    TURN_BYTES,
    Part,
    Request,
    Turns,
)
from tests.unit.intake.builders import NOON

DATA = AlertData(summary="disk full")
LOOP = new_event_loop()


@pytest.fixture(scope="module", autouse=True)
def loop() -> Iterator[AbstractEventLoop]:
    """Only makes futures: nothing runs in it."""
    yield LOOP
    LOOP.close()


def request(name: str, size: int) -> Request:
    signals = [Signal("probe", f"{name} {n}", NOON, NOON, None, DATA) for n in range(size)]
    return Request(signals, LOOP.create_future())


def turns(**sizes: list[int]) -> tuple[Turns, dict[str, list[Request]]]:
    """Requests of these sizes, by integration."""
    made, waiting = Turns(), {}
    for name, each in sizes.items():
        waiting[name] = [request(f"{name}{place}", size) for place, size in enumerate(each)]
        for one in waiting[name]:
            made.add(name, one)
    return made, waiting


def sizes(batch: list[Part]) -> list[tuple[str, int]]:
    return [(part.signals[0].signal_id.split()[0], len(part.signals)) for part in batch]


def commit(batch: list[Part], decision: Decision = Decision.OPENED) -> None:
    taken = {s.identity: Taken(decision, None) for part in batch for s in part.signals}
    for part in batch:
        part.commit(taken)


def test_alone_an_integration_has_the_whole_batch() -> None:
    waiting, _ = turns(a=[1] * (MAX_BATCH + 200), b=[])
    assert sum(size for _, size in sizes(waiting.next_batch())) == MAX_BATCH
    assert len(waiting.next_batch()) == 200
    assert not waiting
    waiting, _ = turns(a=[MAX_BATCH + 1])
    assert [sizes(waiting.next_batch()) for _ in range(2)] == [[("a0", MAX_BATCH)], [("a0", 1)]]


def test_a_large_request_is_divided_and_leaves_room_for_others() -> None:
    waiting, requests = turns(a=[1000], b=[3])
    assert sizes(waiting.next_batch()) == [("a0", TURN), ("b0", 3)]
    late = request("c0", 2)
    waiting.add("c", late)
    assert sizes(waiting.next_batch()) == [("a0", TURN), ("c0", 2)]
    assert (waiting.size(), waiting.size_of("a"), waiting.size_of("b")) == (2 * TURN, 2 * TURN, 0)
    assert not requests["a"][0].answer.done()


def test_who_sends_one_signal_after_another_is_not_made_to_wait_for_large_batches() -> None:
    waiting, _ = turns(a=[4 * MAX_BATCH])
    assert sizes(waiting.next_batch()) == [("a0", MAX_BATCH)]
    for number in range(3):
        waiting.add("b", request(f"b{number}", 1))
        assert sizes(waiting.next_batch()) == [("a0", TURN), (f"b{number}", 1)]
        assert sizes(waiting.next_batch()) == [("a0", TURN)]
    assert sizes(waiting.next_batch()) == [("a0", MAX_BATCH)]


def test_a_request_that_fits_into_a_turn_is_not_divided() -> None:
    waiting, _ = turns(a=[200, 200, 10], b=[1])
    assert sizes(waiting.next_batch()) == [("a0", 200), ("b0", 1)]
    assert sizes(waiting.next_batch()) == [("a1", 200), ("a2", 10)]


def test_large_signals_have_smaller_turns() -> None:
    waiting = Turns()
    large, other = request("a0", 100), request("b0", 1)
    large.size = 100 * TURN_BYTES // 4
    waiting.add("a", large)
    assert sizes(waiting.next_batch()) == [("a0", MAX_BATCH_BYTES // (TURN_BYTES // 4))]
    waiting.add("b", other)
    assert sizes(waiting.next_batch()) == [("a0", 4), ("b0", 1)]


def test_one_signal_fits_however_large_it_is() -> None:
    waiting = Turns()
    for name in ("a0", "b0"):
        large = request(name, 2)
        large.size = 20 * MAX_BATCH_BYTES
        waiting.add(name[0], large)
    assert [sizes(waiting.next_batch()) for _ in range(4)] == [
        [("a0", 1)],
        [("b0", 1)],
        [("a0", 1)],
        [("b0", 1)],
    ]


def test_of_many_integrations_those_that_had_no_turn_are_first_in_the_next_batch() -> None:
    most = MAX_BATCH // TURN
    many = {f"k{number}": [TURN] for number in range(most + 1)}
    waiting, _ = turns(**many | {"k0": [TURN] * 2})
    assert len(waiting.next_batch()) == most
    assert [name for name, _ in sizes(waiting.next_batch())] == [f"k{most}0", "k01"]


def test_a_request_is_answered_with_its_last_part_and_with_first_decisions() -> None:
    repeated = Signal("probe", "twice", NOON, NOON, None, DATA)
    others = request("a", MAX_BATCH).signals
    divided = Request([repeated, *others, repeated], LOOP.create_future())
    waiting = Turns()
    waiting.add("a", divided)
    commit(waiting.next_batch(), Decision.OPENED)
    assert not divided.answer.done()
    commit(waiting.next_batch(), Decision.REPEAT)
    taken = divided.answer.result()
    assert taken[repeated.identity].decision is Decision.OPENED
    assert taken[others[-1].identity].decision is Decision.REPEAT
    assert len(taken) == MAX_BATCH + 1


def test_what_failed_in_part_or_was_given_up_takes_no_more_turns() -> None:
    waiting, requests = turns(a=[MAX_BATCH + 1, 5, 7])
    waiting.next_batch()
    requests["a"][0].fail(ConnectionError())
    requests["a"][1].answer.cancel()
    assert sizes(waiting.next_batch()) == [("a2", 7)]
    assert not waiting
    assert isinstance(requests["a"][0].answer.exception(), ConnectionError)
    requests["a"][1].fail(ConnectionError())  # nobody waits for it


SIZES = st.sampled_from([1, 7, TURN - 1, TURN, TURN + 1, 3 * TURN, MAX_BATCH + 1])


@settings(max_examples=40)
@given(st.dictionaries(st.sampled_from("abcde"), st.lists(SIZES, max_size=5)))
def test_everything_is_committed_once_in_its_order_and_within_bounds(
    given_sizes: dict[str, list[int]],
) -> None:
    waiting, requests = turns(**given_sizes)
    assert waiting.size() == sum(map(sum, given_sizes.values()))
    committed: dict[str, list[str]] = {}
    while waiting:
        batch = waiting.next_batch()
        assert 0 < sum(len(part.signals) for part in batch) <= MAX_BATCH
        assert len({id(part.request) for part in batch}) == len(batch)
        for part in batch:
            signals = [signal.signal_id for signal in part.signals]
            committed.setdefault(signals[0][0], []).extend(signals)
        commit(batch)
    assert waiting.size() == 0
    for name, each in requests.items():
        assert committed.get(name, []) == [s.signal_id for one in each for s in one.signals]
        for one in each:
            assert {signal.identity for signal in one.signals} <= one.answer.result().keys()
