"""A bucket delays what comes too fast, and refuses nothing for its size."""

from hypothesis import given
from hypothesis import strategies as st

from services.intake.integrations.domain import Bucket


def test_a_burst_is_taken_and_then_the_rate() -> None:
    bucket = Bucket.full(rate=10, burst=3, at=0)
    for _ in range(3):
        assert bucket.wait(0) == 0
        bucket.take(1)
    assert bucket.wait(0) == 0.1
    assert bucket.wait(0.1) == 0


def test_a_group_larger_than_the_burst_is_taken_and_waited_for_no_longer_than_a_burst() -> None:
    bucket = Bucket.full(rate=10, burst=100, at=0)
    assert bucket.wait(0) == 0
    bucket.take(10_000)
    assert bucket.wait(0) == 10.1
    assert bucket.wait(10.2) == 0


@given(st.lists(st.tuples(st.floats(0, 5), st.integers(1, 50))), st.integers(1, 20))
def test_over_any_time_no_more_than_the_rate_a_burst_and_one_request_are_taken(
    requests: list[tuple[float, int]], burst: int
) -> None:
    bucket, now, taken, largest = Bucket.full(rate=2, burst=burst, at=0), 0.0, 0, 0
    for pause, signals in requests:
        now += pause
        if bucket.wait(now) == 0:
            bucket.take(min(signals, burst))
            taken, largest = taken + min(signals, burst), max(largest, signals)
    assert taken <= 2 * now + burst + min(largest, burst)
