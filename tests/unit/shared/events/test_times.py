"""Times as senders write them: valid RFC 3339 that Python does not read by itself included."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.events.times import read_time


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-29T10:00:00Z", datetime(2026, 11, 29, 10, tzinfo=UTC)),
        ("2026-11-29t10:00:00z", datetime(2026, 11, 29, 10, tzinfo=UTC)),
        ("2026-11-29 10:00:00z", datetime(2026, 11, 29, 10, tzinfo=UTC)),
        (" 2026-11-29T10:00:00Z ", datetime(2026, 11, 29, 10, tzinfo=UTC)),
        ("2026-11-29T12:00:00+02:00", datetime(2026, 11, 29, 10, tzinfo=UTC)),
        ("2026-11-29T10:00:00-00:00", datetime(2026, 11, 29, 10, tzinfo=UTC)),
        ("2026-11-29T10:00:00", datetime(2026, 11, 29, 10, tzinfo=UTC)),
        ("2026-11-29T10:00:00.123456789Z", datetime(2026, 11, 29, 10, 0, 0, 123456, UTC)),
        ("2016-12-31T23:59:60Z", datetime(2016, 12, 31, 23, 59, 59, 999999, UTC)),
        ("2016-12-31t23:59:60.5z", datetime(2016, 12, 31, 23, 59, 59, 999999, UTC)),
        ("2017-01-01T05:29:60+05:30", datetime(2016, 12, 31, 23, 59, 59, 999999, UTC)),
        ("0001-01-01T00:00:00Z", datetime(1, 1, 1, tzinfo=UTC)),
        ("0001-01-01T00:00:00-01:00", datetime(1, 1, 1, 1, tzinfo=UTC)),
        ("9999-12-31T23:59:59Z", datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
    ],
)
def test_a_time_is_read(text: str, moment: datetime) -> None:
    assert read_time(text) == moment


@pytest.mark.parametrize(
    "text",
    [
        *("", "yesterday", "1772366400", "2026-02-30T00:00:00Z", "2026-11-29T25:00:00Z"),
        *("2026-11-29T10:00:61Z", "2026-11-29T10:60:00Z", "2026-11-29T10:00:00+99:00"),
        *("0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00", "\x00", "\ud83d" * 9),
    ],
)
def test_one_that_cannot_be_read_is_none(text: str) -> None:
    assert read_time(text) is None


@given(st.text())
def test_nothing_is_ever_raised(text: str) -> None:
    read = read_time(text)
    assert read is None or read.tzinfo is UTC
