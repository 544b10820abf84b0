"""What the relay decides after a batch: what is done with, and how long the next rows gather."""

import pytest

from shared.events.message import OutboxMessage
from shared.kafka.publisher import Result
from shared.postgres.outbox import OutboxRow, may_have_more
from shared.postgres.relay import pause_after, published

SENT, TOO_LARGE, NOT_SENT = Result.SENT, Result.TOO_LARGE, Result.NOT_SENT


def rows(keys: str, topic: str = "topic") -> list[OutboxRow]:
    """A row for each letter, which is its key."""
    return [OutboxRow(n, OutboxMessage(topic, key.encode(), b"")) for n, key in enumerate(keys)]


@pytest.mark.parametrize(
    ("keys", "results", "done"),
    [
        ("ab", [SENT, SENT], [0, 1]),
        ("aab", [SENT, NOT_SENT, SENT], [0, 2]),
        ("aaba", [NOT_SENT, SENT, SENT, SENT], [2]),
        ("aa", [TOO_LARGE, SENT], [1]),
        ("aa", [NOT_SENT, NOT_SENT], []),
    ],
    ids=[
        "all",
        "what came before it stays done",
        "what follows a missing row of its key goes out again",
        "a dead letter takes its place, so nothing waits for it",
        "none",
    ],
)
def test_which_rows_are_done_with(keys: str, results: list[Result], done: list[int]) -> None:
    assert [row.id for row in published(rows(keys), results)] == done


def test_the_same_key_of_another_topic_waits_for_nothing() -> None:
    both = [*rows("a", "one"), *rows("a", "other")]

    assert [row.message.topic for row in published(both, [NOT_SENT, SENT])] == ["other"]


@pytest.mark.parametrize(
    ("count", "seconds", "linger", "pause"),
    [
        (1, 0.5, 0.0, 0.0),
        (7, 0.5, 0.0, 0.0),
        (8, 0.5, 0.0, 0.02),
        (1000, 0.005, 0.0, 0.005),
        (1, 0.001, 0.2, 0.2),
        (1000, 0.5, 0.1, 0.1),
        (0, 0.5, 0.2, 0.0),
    ],
    ids=[
        "one row",
        "a few rows",
        "a slow batch",
        "a fast batch",
        "nobody waits",
        "nobody waits for a batch",
        "nothing to publish",
    ],
)
def test_how_long_rows_gather(count: int, seconds: float, linger: float, pause: float) -> None:
    assert pause_after(count, seconds, linger) == pause


def test_rows_that_fill_a_bound_may_have_others_behind_them() -> None:
    large = OutboxRow(1, OutboxMessage("topic", b"key", bytes(16 * 1024 * 1024)))

    assert may_have_more(rows("ab"), 2)
    assert not may_have_more(rows("ab"), 3)
    assert may_have_more([large], 1000)
