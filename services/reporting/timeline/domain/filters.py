"""Which incidents a list shows."""

from enum import StrEnum


class StatusFilter(StrEnum):
    """A status, or several: `open` is every status but `resolved`."""

    OPEN = "open"
    REPORTED = "reported"
    TRIGGERED = "triggered"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"
    ALL = "all"
