"""Senders whose clock is slow: they announce an end that has passed already when it arrives."""

from collections import OrderedDict
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

_MOST = 10_000
_SUSPICIOUS = timedelta(minutes=1)
_STEPS = 3
_PACE = (0.5, 2.0)


@dataclass(frozen=True, slots=True)
class Announced:
    """An end that a sender announced for an alert that started at some time, and when that arrived
    here. `steps`: how often it has moved with the clock; `fires`: what was made of it.
    """

    starts_at: datetime | None
    ends_at: datetime
    at: datetime
    steps: int = 0
    fires: bool = False


class SlowClocks:
    """Tells an alert that fires, of a sender whose clock is slow, from one that is over.

    Both have an end in the past. Sent again, an alert that fires has a later end, by about the time
    that has gone by; one that is over has the same end, or an earlier one than while it fired. So
    the first of a slow sender's messages counts as an end, and the second shows that the alert
    fires. Where the end has only just passed, several replicas of a sender may each have seen it
    end: then the alert fires after a few more steps.

    What was announced is remembered here, and lost with the process: then one more message is
    needed, unless it is stored with an alert that fires.
    """

    def __init__(self) -> None:
        self._announced: OrderedDict[tuple[str, str], Announced] = OrderedDict()

    def fires(self, origin: str, key: str, now: Announced, stored: Announced | None) -> bool:
        """Whether an alert whose announced end has passed fires."""
        before = self._announced.pop((origin, key), stored)
        last = _last(before, now)
        self._announced[origin, key] = last
        if len(self._announced) > _MOST:
            self._announced.popitem(last=False)
        return last.fires and last.ends_at == now.ends_at


def _last(before: Announced | None, now: Announced) -> Announced:
    """The last end that was announced, and what is made of it."""
    if before is None or before.starts_at != now.starts_at:
        return now
    if now.ends_at <= before.ends_at:
        return before
    if not _moves_with_the_clock(before, now):
        return now
    steps = before.steps + 1
    needed = 1 if now.at - now.ends_at > _SUSPICIOUS else _STEPS
    return replace(now, steps=steps, fires=before.fires or steps >= needed)


def _moves_with_the_clock(before: Announced, now: Announced) -> bool:
    slowest, fastest = _PACE
    passed = now.at - before.at
    return passed * slowest <= now.ends_at - before.ends_at <= passed * fastest
