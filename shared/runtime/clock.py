"""Time is passed in, so that a test can jump."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""Returns the current instant, time-zone aware, in UTC."""


def system_clock() -> datetime:
    """The machine's clock, in UTC."""
    return datetime.now(UTC)


def seconds_since(then: datetime | None, now: datetime) -> float:
    """How long ago it was; 0 for None, and for what is yet to come (by the clock of another
    machine).
    """
    return max((now - then).total_seconds(), 0.0) if then else 0.0
