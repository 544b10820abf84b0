"""The database's clock, which all replicas of a service share: leases and timers go by it.

A machine whose clock is wrong, or is put right, changes nothing for them. Between two readings of
the database's clock a timer of this machine runs on, which no step of its clock moves.
"""

import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial

# Where there is one that goes on while the machine is suspended, that.
_timer = partial(time.clock_gettime, getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class ClockUnknown(ConnectionError):
    """Postgres has not been reached yet, so nobody knows what time it is there."""


class DatabaseClock:
    """A Clock. Each reading of the database's shows that its clock is ahead of the timer by between
    two numbers: by how much is moved into that range, so that a slow answer adds no error.
    """

    def __init__(self, timer: Callable[[], float] = _timer) -> None:
        self._timer = timer
        self._ahead: float | None = None

    def __call__(self) -> datetime:
        """The current instant. Raises ClockUnknown before the first reading."""
        if self._ahead is None:
            raise ClockUnknown("the database's clock has not been read yet")
        return datetime.fromtimestamp(self._timer() + self._ahead, UTC)

    async def read(self, ask: Callable[[], Awaitable[datetime]]) -> None:
        """Take a reading: `ask` returns what the database's clock says now."""
        asked_at = self._timer()
        reading = (await ask()).timestamp()
        least, most = reading - self._timer(), reading - asked_at
        middle = (least + most) / 2 if self._ahead is None else self._ahead
        self._ahead = min(max(middle, least), most)
