"""Who is on call at an instant: by the local wall clock, whatever the clocks do.

Local times are read as RFC 5545 3.3.5 says: one that a change of clocks skips is taken with the
offset before the gap, one that happens twice is the first.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from services.escalation.oncall.policy import WEEKDAYS, Hours, Schedule

_DAY = timedelta(days=1)
_HORIZON_DAYS = 15  # a window on one weekday may be empty in the week where the clocks change


@dataclass(frozen=True, slots=True)
class Turn:
    """A user's duty from `begins` up to, not including, `ends`. UTC."""

    user: str
    begins: datetime
    ends: datetime


def on_call(schedule: Schedule, at: datetime) -> Turn | None:
    """The one person on call and for how long; None outside the schedule's hours."""
    turn = turn_at(schedule, at)
    if schedule.hours is None:
        return turn
    window = window_at(schedule.hours, schedule.time_zone, at)
    return window and Turn(turn.user, max(turn.begins, window[0]), min(turn.ends, window[1]))


def turn_at(schedule: Schedule, at: datetime) -> Turn:
    """Whose turn it is, not asking for hours: turns follow each other without a gap and without an
    overlap.
    """
    period = timedelta(weeks=1) if schedule.rotation == "weekly" else _DAY
    zone = ZoneInfo(schedule.time_zone)

    def handoff(number: int) -> datetime:
        return _instant(schedule.start + number * period, schedule.handoff.at, zone)

    number = (at.astimezone(zone).date() - schedule.start) // period
    while handoff(number) > at:
        number -= 1
    while handoff(number + 1) <= at:
        number += 1
    return Turn(schedule.users[number % len(schedule.users)], handoff(number), handoff(number + 1))


def window_at(hours: Hours, time_zone: str, at: datetime) -> tuple[datetime, datetime] | None:
    """The window that is open at an instant: when it began and when it ends."""
    return next(
        (
            (begins, ends)
            for begins, ends in _windows(hours, time_zone, at, days=2)
            if begins <= at < ends
        ),
        None,
    )


def next_opening(hours: Hours, time_zone: str, at: datetime) -> datetime:
    """When the hours begin next: `at` itself when they are open."""
    windows = _windows(hours, time_zone, at, days=_HORIZON_DAYS)
    return next(
        (max(begins, at) for begins, ends in windows if ends > at), at + _HORIZON_DAYS * _DAY
    )


def _windows(
    hours: Hours, time_zone: str, at: datetime, days: int
) -> list[tuple[datetime, datetime]]:
    """The windows that begin on `days` local days from the day before `at`, since that one may last
    past midnight.
    """
    zone = ZoneInfo(time_zone)
    overnight = _DAY if hours.to <= hours.from_ else timedelta(0)
    first = at.astimezone(zone).date() - _DAY
    starts = [
        day
        for day in (first + number * _DAY for number in range(days))
        if WEEKDAYS[day.weekday()] in hours.weekdays
    ]
    spans = [
        (_instant(day, hours.from_, zone), _instant(day + overnight, hours.to, zone))
        for day in starts
    ]
    return [(begins, ends) for begins, ends in spans if begins < ends]


def _instant(day: date, at: time, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, at, zone).astimezone(
        UTC
    )  # fold=0 is the rule of RFC 5545 for gaps and repeats alike
