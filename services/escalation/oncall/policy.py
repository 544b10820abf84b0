"""On-call schedules in teams.yaml."""

import re
from dataclasses import dataclass
from datetime import date, time
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from services.escalation.people.policy import Zone
from shared.policy.files import PolicyModel

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEKDAYS: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True, slots=True)
class HandoffTime:
    """When a turn ends and the next begins, in the schedule's local time. `weekday` counts from
    Monday = 0.
    """

    at: time
    weekday: int | None = None


def _wall_time(value: Any) -> Any:
    if isinstance(value, time):
        return value
    if not isinstance(value, str) or not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d(:00)?", value):
        raise ValueError('write a time of day as "09:00"')
    return time.fromisoformat(value)


def _handoff(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    day, _, at = value.rpartition(" ")
    if day and day.lower() not in WEEKDAYS:
        raise ValueError('write a handoff as "09:00" (daily) or "Tue 09:00" (weekly)')
    return HandoffTime(_wall_time(at), WEEKDAYS.index(day.lower()) if day else None)


WallTime = Annotated[time, BeforeValidator(_wall_time)]
Handoff = Annotated[HandoffTime, BeforeValidator(_handoff)]


class Hours(PolicyModel):
    """A span of the day in local time, on the days where it begins. It runs past midnight when `to`
    <= `from`.
    """

    from_: WallTime = Field(alias="from")
    to: WallTime
    weekdays: tuple[Weekday, ...] = Field(default=WEEKDAYS, min_length=1)


class StepHours(Hours):
    """When a step may page; outside, it holds until they begin."""

    time_zone: Zone


class Schedule(PolicyModel):
    """Users who take turns. The first user's turn begins on `start`; turns before it are counted
    backwards.

    With `hours`, somebody is on call in them only.
    """

    time_zone: Zone
    rotation: Literal["daily", "weekly"]
    handoff: Handoff
    start: date
    users: tuple[str, ...] = Field(min_length=1)
    hours: Hours | None = None
