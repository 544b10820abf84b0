"""Durations in words."""

from datetime import timedelta

import pytest

from services.reporting.timeline.domain.durations import (
    format_duration,
    format_microseconds,
    format_offset,
)
from tests.support.outage import OPENED

SECOND = 1_000_000


def test_durations_read_as_people_write_them() -> None:
    spans = (0, 45, 125, 120, 3 * 3600, 86400 * 4 + 7300)
    assert [format_duration(timedelta(seconds=s)) for s in spans] == [
        "0 s",
        "45 s",
        "2 min 5 s",
        "2 min",
        "3 h",
        "4 d 2 h",
    ]
    assert format_duration(-timedelta(seconds=9)) == "0 s"
    assert format_offset(OPENED + timedelta(hours=1), OPENED) == "1 h after"


@pytest.mark.parametrize(
    ("microseconds", "words"),
    [
        (0, "0 µs"),
        (340, "340 µs"),
        (4_200, "4.2 ms"),
        (5_000, "5 ms"),
        (86_900, "87 ms"),
        (1_340_000, "1.3 s"),
        (29_927_000, "30 s"),
        (125 * SECOND, "2 min 5 s"),
    ],
)
def test_lengths_in_words(microseconds: int, words: str) -> None:
    assert format_microseconds(microseconds) == words
