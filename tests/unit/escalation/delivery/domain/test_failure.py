"""What an answer to a page means, and when the next attempt is."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.escalation.delivery.domain.failure import (
    MAX_ATTEMPTS,
    Failure,
    http_failure,
    next_wait,
    smtp_failure,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@given(st.integers(100, 599))
def test_only_2xx_is_delivered_and_only_5xx_and_429_are_tried_again(status: int) -> None:
    failure = http_failure(status, None, NOW)
    if 200 <= status < 300:
        assert failure is None
    else:
        assert failure is not None
        assert failure.final == (status < 500 and status != 429)


@pytest.mark.parametrize(("code", "final"), [(421, False), (450, False), (535, True), (550, True)])
def test_smtp_says_whether_it_passes(code: int, final: bool) -> None:
    assert smtp_failure(code).final == final


def test_eight_attempts_take_some_ten_minutes() -> None:
    waits = [next_wait(Failure("HTTP 500"), attempt, 0.5) for attempt in range(1, MAX_ATTEMPTS + 1)]
    assert waits[0] == timedelta(seconds=5)
    assert waits[-1] is None
    total = sum((wait for wait in waits if wait), timedelta())
    assert timedelta(minutes=9) < total < timedelta(minutes=12)


@given(st.integers(1, MAX_ATTEMPTS - 1), st.floats(0, 1, exclude_max=True))
def test_the_wait_is_off_by_a_fifth_at_most(attempt: int, jitter: float) -> None:
    wait = next_wait(Failure("HTTP 500"), attempt, jitter)
    assert wait is not None
    assert 0.79 < wait / (timedelta(seconds=5) * 2 ** (attempt - 1)) < 1.21


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("60", 60),
        ("Sun, 01 Mar 2026 12:02:00 GMT", 120),
        ("86400", 300),
        ("9" * 5000, 300),
        ("Sun, 01 Mar 2020 12:00:00 GMT", 5),
        ("Sun, 01 Mar 2026 12:02:00 -0000", 5),
        ("soon", 5),
        (None, 5),
    ],
)
def test_retry_after_is_honoured_within_bounds(header: str | None, seconds: int) -> None:
    failure = http_failure(429, header, NOW)
    assert failure is not None
    assert next_wait(failure, 1, 0.5) == timedelta(seconds=seconds)
