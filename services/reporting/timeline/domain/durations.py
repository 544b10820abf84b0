"""Durations as people write them."""

from datetime import datetime, timedelta

_UNITS = (
    (86400, "d", (3600, "h")),
    (3600, "h", (60, "min")),
    (60, "min", (1, "s")),
    (1, "s", None),
)


def format_duration(span: timedelta) -> str:
    """The two largest units: `45 s`, `2 min 5 s`, `3 h`, `4 d 2 h`. Never negative."""
    total = max(0, int(span.total_seconds()))
    seconds, unit, smaller = next((u for u in _UNITS if total >= u[0]), _UNITS[-1])
    count, rest = divmod(total, seconds)
    text = f"{count} {unit}"
    if smaller and rest >= smaller[0]:
        text += f" {rest // smaller[0]} {smaller[1]}"
    return text


def format_offset(moment: datetime, reference: datetime) -> str:
    """How long a moment was before or after another: `5 min before`, `2 h after`."""
    side = "before" if moment <= reference else "after"
    return f"{format_duration(abs(moment - reference))} {side}"


def format_microseconds(microseconds: int) -> str:
    """A duration for which seconds are too coarse: `340 µs`, `4.2 ms`, `87 ms`, `1.3 s`, `2 min
    5 s`.
    """
    if microseconds < 1000:
        return f"{microseconds} µs"
    if microseconds >= 60_000_000:
        return format_duration(timedelta(microseconds=microseconds))
    size, unit = (1000, "ms") if microseconds < 1_000_000 else (1_000_000, "s")
    tenths = microseconds * 10 // size
    if tenths < 100 and tenths % 10:
        return f"{tenths // 10}.{tenths % 10} {unit}"
    return f"{(tenths + 5) // 10} {unit}"
