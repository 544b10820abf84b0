"""Who is on call, on the days when the clocks change and on all others."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.escalation.oncall.domain import next_opening, on_call, turn_at, window_at
from services.escalation.oncall.policy import WEEKDAYS, HandoffTime, Hours, Schedule

ZONES = [
    "UTC",
    "America/New_York",
    "Europe/Berlin",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Asia/Kathmandu",
]


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def daily(zone: str, handoff: str, start: str, hours: Hours | None = None) -> Schedule:
    return Schedule(
        time_zone=zone,
        rotation="daily",
        handoff=HandoffTime(time.fromisoformat(handoff)),
        start=date.fromisoformat(start),
        users=("ana", "ben"),
        hours=hours,
    )


def chicago_tuesdays() -> Schedule:
    return Schedule(
        time_zone="America/Chicago",
        rotation="weekly",
        handoff=HandoffTime(time(9), weekday=1),
        start=date(2024, 10, 1),
        users=("ana", "ben"),
    )


def test_the_week_in_which_summer_time_ends_is_an_hour_longer() -> None:
    turn = turn_at(chicago_tuesdays(), utc("2024-11-01T12:00"))
    assert (turn.user, turn.begins, turn.ends) == (
        "ana",
        utc("2024-10-29T14:00"),
        utc("2024-11-05T15:00"),
    )
    assert turn.ends - turn.begins == timedelta(hours=169)
    assert turn_at(chicago_tuesdays(), turn.ends).user == "ben"


def test_the_week_in_which_summer_time_begins_is_an_hour_shorter() -> None:
    turn = turn_at(chicago_tuesdays(), utc("2025-03-04T15:00"))
    assert (turn.user, turn.begins, turn.ends) == (
        "ana",
        utc("2025-03-04T15:00"),
        utc("2025-03-11T14:00"),
    )
    assert turn.ends - turn.begins == timedelta(hours=167)
    assert turn_at(chicago_tuesdays(), turn.ends - timedelta(microseconds=1)).user == "ana"
    assert turn_at(chicago_tuesdays(), turn.ends).user == "ben"


LONDON = Hours(from_=time(8, 30), to=time(17, 30))


@pytest.mark.parametrize(
    ("at", "begins", "ends"),
    [
        ("2023-10-27T12:00", "2023-10-27T07:30", "2023-10-27T16:30"),  # Friday, British Summer Time
        ("2023-10-30T12:00", "2023-10-30T08:30", "2023-10-30T17:30"),  # Monday, GMT
    ],
)
def test_hours_stay_on_the_wall_clock_when_the_offset_changes(
    at: str, begins: str, ends: str
) -> None:
    turn = on_call(daily("Europe/London", "08:30", "2023-07-03", LONDON), utc(at))
    assert turn is not None
    assert (turn.begins, turn.ends) == (utc(begins), utc(ends))
    assert window_at(LONDON, "Europe/London", utc(at)) == (utc(begins), utc(ends))


def test_in_winter_nobody_is_on_call_before_the_hours_and_somebody_is_until_they_end() -> None:
    schedule = daily("Europe/London", "08:30", "2023-07-03", LONDON)
    assert on_call(schedule, utc("2023-10-30T07:45")) is None
    assert on_call(schedule, utc("2023-10-30T17:15")) is not None
    assert on_call(schedule, utc("2023-10-30T17:30")) is None
    assert next_opening(LONDON, "Europe/London", utc("2023-10-30T07:45")) == utc("2023-10-30T08:30")


def test_a_handoff_that_happens_twice_is_the_first_and_happens_once() -> None:
    schedule = daily("America/New_York", "01:30", "2024-11-01")
    before = turn_at(schedule, utc("2024-11-03T05:29"))
    turn = turn_at(schedule, utc("2024-11-03T05:30"))
    assert (before.ends, turn.begins) == (utc("2024-11-03T05:30"), utc("2024-11-03T05:30"))
    assert (
        turn_at(schedule, utc("2024-11-03T06:30")) == turn
    )  # 01:30 again, in standard time: no second handoff
    assert turn.ends == utc("2024-11-04T06:30")
    assert turn.ends - turn.begins == timedelta(hours=25)


def test_a_handoff_that_the_clocks_skip_happens_at_the_offset_before_the_gap() -> None:
    schedule = daily("America/New_York", "02:30", "2024-03-01")
    turn = turn_at(schedule, utc("2024-03-10T07:30"))
    assert (turn.begins, turn.ends) == (utc("2024-03-10T07:30"), utc("2024-03-11T06:30"))
    assert turn.ends - turn.begins == timedelta(hours=23)
    assert turn_at(schedule, utc("2024-03-10T07:29")).ends == turn.begins


def test_a_day_that_a_zone_left_out_gives_nobody_an_empty_turn() -> None:
    schedule = daily(
        "Pacific/Apia", "09:00", "2011-12-01"
    )  # 30 December 2011 did not exist in Samoa
    turn = turn_at(schedule, utc("2011-12-30T19:00"))
    assert turn.begins == utc("2011-12-30T19:00")
    assert turn.ends == utc("2011-12-31T19:00")
    assert turn_at(schedule, utc("2011-12-30T18:59")).ends == turn.begins


def test_night_hours_run_past_midnight_and_belong_to_the_day_on_which_they_begin() -> None:
    nights = Hours(from_=time(22), to=time(6), weekdays=("fri",))
    friday_night = (utc("2026-03-27T21:00"), utc("2026-03-28T05:00"))  # Berlin, CET
    assert window_at(nights, "Europe/Berlin", utc("2026-03-28T03:00")) == friday_night
    assert window_at(nights, "Europe/Berlin", utc("2026-03-27T03:00")) is None
    assert next_opening(nights, "Europe/Berlin", utc("2026-03-28T05:00")) == utc(
        "2026-04-03T20:00"
    )  # now CEST


@st.composite
def schedules(draw: st.DrawFn) -> Schedule:
    start = draw(st.dates(date(1990, 1, 1), date(2040, 1, 1)))
    weekly = draw(st.booleans())
    at = draw(st.times()).replace(second=0, microsecond=0)
    return Schedule(
        time_zone=draw(st.sampled_from(ZONES)),
        rotation="weekly" if weekly else "daily",
        handoff=HandoffTime(at, start.weekday() if weekly else None),
        start=start,
        users=tuple(draw(st.lists(st.sampled_from("abcde"), min_size=1, max_size=5, unique=True))),
    )


instants = st.datetimes(datetime(1990, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))


@given(schedules(), instants)
def test_at_any_instant_exactly_one_person_has_the_turn_and_turns_touch(
    schedule: Schedule, at: datetime
) -> None:
    turn = turn_at(schedule, at)
    assert turn.begins <= at < turn.ends
    assert turn_at(schedule, turn.begins) == turn
    assert turn_at(schedule, turn.ends - timedelta(microseconds=1)) == turn
    after = turn_at(schedule, turn.ends)
    assert after.begins == turn.ends
    # Only Samoa's missing day passes somebody over.
    users, place = schedule.users, schedule.users.index(turn.user)
    assert after.user == users[(place + 1) % len(users)] or turn.ends.year == 2011


@given(schedules(), instants)
def test_a_turn_begins_at_the_handoff_on_the_local_clock_unless_that_time_was_skipped(
    schedule: Schedule, at: datetime
) -> None:
    local = turn_at(schedule, at).begins.astimezone(ZoneInfo(schedule.time_zone))
    skipped = local.replace(fold=0).utcoffset() != (local - timedelta(hours=2)).utcoffset()
    assert local.time() == schedule.handoff.at or skipped or local.date() == date(2011, 12, 31)


hours = st.builds(
    Hours,
    from_=st.times().map(lambda at: at.replace(second=0, microsecond=0)),
    to=st.times().map(lambda at: at.replace(second=0, microsecond=0)),
    weekdays=st.lists(st.sampled_from(WEEKDAYS), min_size=1, unique=True).map(tuple),
)


@given(hours, st.sampled_from(ZONES), instants)
def test_the_next_opening_is_open_and_nothing_before_it_is(
    span: Hours, zone: str, at: datetime
) -> None:
    opening = next_opening(span, zone, at)
    assert opening >= at
    assert window_at(span, zone, opening) is not None
    if opening > at:
        assert window_at(span, zone, at) is None
        assert window_at(span, zone, opening - timedelta(seconds=1)) is None
