"""Times as other systems write them."""

import re
from datetime import UTC, datetime

_LEAP_SECOND = re.compile(r"(:\d\d):60(?:[.,]\d+)?")


def read_time(text: str) -> datetime | None:
    """An RFC 3339 time in UTC; None for what cannot be read, or lies outside of the calendar.

    Lower-case `t` and `z` are read. A leap second (`23:59:60`) is the last microsecond before it
    ends the minute. A time without offset is UTC; digits beyond microseconds are dropped.
    """
    upper = text.strip().upper()
    for form in (text, upper, _LEAP_SECOND.sub(r"\1:59.999999", upper)):
        try:
            moment = datetime.fromisoformat(form)
            return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
        except OverflowError:  # the first or last day of the calendar, in another zone
            return None
        except ValueError:
            continue
    return None
