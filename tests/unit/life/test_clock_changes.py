"""Who is on call around changes of the clocks, in every time zone."""

from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from hypothesis import given, settings
from hypothesis import strategies as st

from services.escalation.oncall.domain import on_call, window_at
from services.escalation.oncall.policy import HandoffTime, Hours, Schedule

_ZONES = sorted(available_timezones())
_HOUR = timedelta(hours=1)
_DATE_LINE = timedelta(hours=12)  # some islands have skipped a whole day, in the past


@cache
def changes(zone: str, year: int) -> list[datetime]:
    """The instants of a year at which the zone's offset from UTC changes."""

    def offset(at: datetime) -> timedelta:
        return at.astimezone(ZoneInfo(zone)).utcoffset() or timedelta()

    found = []
    for number in range(365):
        before = datetime(year, 1, 1, tzinfo=UTC) + timedelta(days=number)
        after = before + timedelta(days=1)
        if not timedelta(0) < abs(offset(after) - offset(before)) < _DATE_LINE:
            continue
        while after - before > timedelta(seconds=1):
            middle = before + timedelta(seconds=(after - before) // timedelta(seconds=2))
            before, after = (
                (middle, after) if offset(middle) == offset(before) else (before, middle)
            )
        found.append(after)
    return found


@st.composite
def near_changes(draw: st.DrawFn) -> tuple[str, datetime]:
    """A zone and an instant within some hours of a change of its clocks, if there is one."""
    zone, year = draw(st.sampled_from(_ZONES)), draw(st.sampled_from(range(1985, 2036, 5)))
    change = draw(st.sampled_from(changes(zone, year) or [datetime(year, 3, 1, tzinfo=UTC)]))
    return zone, change + draw(st.sampled_from(range(-8, 9))) * _HOUR / 2 + timedelta(
        seconds=draw(st.integers(-1, 1))
    )


times = st.builds(time, st.sampled_from([0, 1, 2, 3, 4, 9, 22, 23]), st.sampled_from([0, 15, 30]))


@given(near_changes(), times, st.integers(-40, 3))
@settings(max_examples=150, derandomize=True, deadline=None)
def test_one_person_is_on_call_and_hands_over_to_the_next_around_a_change(
    where: tuple[str, datetime], handoff: time, start: int
) -> None:
    zone, at = where
    began = at.date() + timedelta(days=start)
    schedule = Schedule(
        time_zone=zone,
        rotation="daily",
        handoff=HandoffTime(handoff),
        start=began,
        users=("ana", "ben", "cleo"),
    )
    turn = on_call(schedule, at)
    assert turn is not None
    assert turn.begins <= at < turn.ends
    assert _HOUR * 20 <= turn.ends - turn.begins <= _HOUR * 28
    after = on_call(schedule, turn.ends)
    assert after is not None
    assert after.begins == turn.ends
    assert after.user == schedule.users[(schedule.users.index(turn.user) + 1) % 3]


@given(near_changes(), times, times)
@settings(max_examples=150, derandomize=True, deadline=None)
def test_day_and_night_hours_cover_every_instant_once(
    where: tuple[str, datetime], dawn: time, dusk: time
) -> None:
    zone, at = where
    day, night = Hours(from_=dawn, to=dusk), Hours(from_=dusk, to=dawn)
    opened = [window for hours in (day, night) if (window := window_at(hours, zone, at))]
    assert len(opened) == (1 if dawn != dusk else 2), (
        "each is a whole day when both begin at the same time"
    )
    assert all(begins <= at < ends for begins, ends in opened)


@given(near_changes(), times, times)
@settings(max_examples=100, derandomize=True, deadline=None)
def test_within_hours_the_user_of_the_turn_is_on_call_and_outside_nobody(
    where: tuple[str, datetime], opens: time, closes: time
) -> None:
    zone, at = where
    always = Schedule(
        time_zone=zone,
        rotation="daily",
        handoff=HandoffTime(time(2, 30)),
        start=date(2000, 1, 1),
        users=("ana", "ben"),
    )
    hours = Hours(from_=opens, to=closes)
    turn, window = on_call(always, at), window_at(hours, zone, at)
    limited = on_call(always.model_copy(update={"hours": hours}), at)
    assert (limited is None) == (window is None)
    if limited and turn and window:
        assert limited.user == turn.user
        assert (
            limited.begins
            == max(turn.begins, window[0])
            <= at
            < limited.ends
            == min(turn.ends, window[1])
        )
