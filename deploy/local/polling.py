"""Waiting for what other processes do: they can only be asked, again and again."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_for(check: Callable[[], T], seconds: float, every: float = 0.05) -> T | None:
    """The first truthy result of `check`, or None when there is none within so many seconds. What
    it raises ends the wait.
    """
    deadline = time.monotonic() + seconds
    while not (found := check()):
        if time.monotonic() > deadline:
            return None
        time.sleep(every)
    return found
