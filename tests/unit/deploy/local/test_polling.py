"""What is waited for is returned; what does not come in time is not waited for."""

import pytest

from deploy.local.polling import wait_for


def test_the_first_truthy_result_is_returned() -> None:
    results = iter([0, "", "there", "later"])
    assert wait_for(lambda: next(results), 60, every=0) == "there"


def test_it_is_asked_once_at_least_and_given_up_in_time() -> None:
    asked: list[int] = []
    assert wait_for(lambda: asked.append(1), 0.01, every=0) is None
    assert asked


def test_an_error_ends_the_wait() -> None:
    def fail() -> bool:
        raise RuntimeError("it has ended")

    with pytest.raises(RuntimeError, match="it has ended"):
        wait_for(fail, 60)
