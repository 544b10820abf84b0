"""The values that teams.yaml is written in: each has its own words for what is wrong with it."""

import re
from dataclasses import dataclass
from datetime import time
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, BeforeValidator

from shared.policy_files import did_you_mean

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEKDAYS: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True, slots=True)
class HandoffTime:
    """When a turn ends and the next begins, in the schedule's local time. `weekday` counts from Monday = 0."""

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


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError):
        mend = did_you_mean(value, available_timezones())
        raise ValueError(f"no time zone of this name{', ' + mend if mend else ''}") from None
    return value


def _address(value: str) -> str:
    # The message must not repeat the address: its path may be a token.
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
        raise ValueError("an address is http:// or https:// with a host, and holds no user name")
    return value


def _name(value: str) -> str:
    # Names end up in attempt keys, which travel as header values.
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}", value):
        raise ValueError("a name has letters, digits, - and _, at most 63")
    return value


def _target(value: str) -> str:
    if not re.fullmatch(r"(user|schedule):.+", value):
        raise ValueError("write a target as user:NAME or schedule:NAME")
    return value


def _email(value: str) -> str:
    if len(value) > 254 or not re.fullmatch(r"[^@\s,;<>]+@[^@\s,;<>]+", value):
        raise ValueError("write one mail address, name@host")
    return value


Name = Annotated[str, AfterValidator(_name)]
Target = Annotated[str, AfterValidator(_target)]
WallTime = Annotated[time, BeforeValidator(_wall_time)]
Zone = Annotated[str, AfterValidator(_zone)]
Email = Annotated[str, AfterValidator(_email)]
Address = Annotated[str, AfterValidator(_address)]
Handoff = Annotated[HandoffTime, BeforeValidator(_handoff)]
