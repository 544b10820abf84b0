"""A heartbeat's life: beats, deadlines, changes."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from services.intake.heartbeats.domain import beat, change, look, new_heartbeat, remove, take_beats
from services.intake.signals.domain import (
    AlertData,
    Heartbeat,
    HeartbeatData,
    HeartbeatRefused,
    HeartbeatSettings,
    Signal,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SETTINGS = HeartbeatSettings(every=timedelta(minutes=5), grace=MINUTE, service="backup")


def made() -> Heartbeat:
    return new_heartbeat("nightly", SETTINGS, "operator", NOON)


def missed() -> Heartbeat:
    after = look(made(), NOON + 6 * MINUTE).heartbeat
    assert after is not None
    return after


def alert_in(signal: Signal | None) -> AlertData:
    assert signal is not None
    assert isinstance(signal.data, AlertData)
    return signal.data


def sent(name: str = "nightly", signal_id: str = "1", **data: int) -> Signal:
    return Signal("job", signal_id, NOON, NOON, None, HeartbeatData(name=name, **data))


@pytest.mark.parametrize("late", [timedelta(0), MINUTE])
def test_it_is_missed_when_neither_period_nor_grace_brought_a_beat(late: timedelta) -> None:
    heartbeat = made()
    assert look(heartbeat, NOON + 6 * MINUTE - timedelta(microseconds=1)).alert is None
    outcome = look(heartbeat, NOON + 6 * MINUTE + late)
    alert = alert_in(outcome.alert)
    assert (alert.status, alert.key, alert.service) == ("firing", "nightly", "backup")
    assert alert.summary == "Heartbeat nightly was missed"
    assert alert.annotations["heartbeat"].endswith("there has been none yet")
    assert outcome.heartbeat is not None
    assert (outcome.heartbeat.status, outcome.heartbeat.missed_at) == ("missed", NOON + 6 * MINUTE)


def test_the_next_beat_ends_the_alert() -> None:
    after, signal = beat(missed(), NOON + 10 * MINUTE, None)
    alert = alert_in(signal)
    assert (alert.status, alert.by, alert.key) == ("resolved", "its next beat", "nightly")
    assert (after.status, after.due_at) == ("beating", NOON + 16 * MINUTE)
    assert beat(after, NOON + 11 * MINUTE, None)[1] is None


def test_it_is_reported_again_while_no_beat_comes() -> None:
    """A person may have closed its incident: that must not end the watch."""
    first = missed()
    assert first.due_at == NOON + 66 * MINUTE
    again = look(first, NOON + 66 * MINUTE)
    assert alert_in(again.alert).status == "firing"
    assert again.heartbeat is not None
    assert again.heartbeat.missed_at == first.missed_at


def test_the_same_miss_is_the_same_signal() -> None:
    heartbeat = made()
    one, other = (look(heartbeat, NOON + late * MINUTE).alert for late in (6, 7))
    assert one is not None
    assert other is not None
    assert one.identity == other.identity


def test_intake_that_was_away_gives_as_much_time_once() -> None:
    back = NOON + 9 * MINUTE
    outcome = look(made(), back)
    assert outcome.alert is None
    assert outcome.heartbeat is not None
    assert outcome.heartbeat.due_at == back + 4 * MINUTE  # 3 late, 1 grace
    away_again = look(outcome.heartbeat, back + 60 * MINUTE)
    assert alert_in(away_again.alert).status == "firing"


def test_a_long_absence_gives_one_period() -> None:
    outcome = look(made(), NOON + timedelta(days=1))
    assert outcome.heartbeat is not None
    assert outcome.heartbeat.due_at == NOON + timedelta(days=1) + 6 * MINUTE


def test_a_disabled_one_is_never_missed() -> None:
    off = HeartbeatSettings(every=MINUTE, enabled=False)
    heartbeat = new_heartbeat("nightly", off, "operator", NOON)
    assert heartbeat.due_at is None
    assert look(heartbeat, NOON + timedelta(days=9)).alert is None
    after, _ = beat(heartbeat, NOON, None)
    assert (after.status, after.due_at) == ("disabled", None)


def test_disabling_ends_the_alert_and_says_so() -> None:
    off = change(missed(), SETTINGS.model_copy(update={"enabled": False}), "operator", NOON)
    outcome = look(off, NOON + 7 * MINUTE)
    assert alert_in(outcome.alert).by == "disabling of the heartbeat"
    assert outcome.heartbeat is not None
    assert (outcome.heartbeat.due_at, outcome.heartbeat.missed_at) == (None, None)
    on = change(outcome.heartbeat, SETTINGS, "operator", NOON + 8 * MINUTE)
    assert on.due_at == NOON + 14 * MINUTE


def test_deletion_ends_the_alert_and_says_so() -> None:
    assert remove(made(), "sender", NOON) is None
    left = remove(missed(), "sender", NOON + 7 * MINUTE)
    assert left is not None
    outcome = look(left, NOON + 7 * MINUTE)
    assert outcome.heartbeat is None
    assert alert_in(outcome.alert).by == "deletion of the heartbeat"


def test_settings_that_stay_keep_the_deadline() -> None:
    heartbeat = made()
    assert change(heartbeat, SETTINGS, "operator", NOON + 4 * MINUTE) == heartbeat
    renamed = SETTINGS.model_copy(update={"summary": "no backup"})
    assert change(heartbeat, renamed, "operator", NOON + 4 * MINUTE).due_at == heartbeat.due_at
    slower = SETTINGS.model_copy(update={"every": timedelta(hours=1)})
    assert change(heartbeat, slower, "operator", NOON + 4 * MINUTE).due_at == NOON + 65 * MINUTE


def test_one_of_the_policy_is_changed_there_only() -> None:
    heartbeat = replace(made(), managed_by="policy")
    with pytest.raises(HeartbeatRefused, match=r"is in heartbeats\.yaml"):
        change(heartbeat, SETTINGS, "operator", NOON)
    with pytest.raises(HeartbeatRefused, match=r"is in heartbeats\.yaml"):
        remove(heartbeat, "sender", NOON)
    taken = take_beats([sent(every_seconds=1)], {"nightly": heartbeat}, NOON + MINUTE)
    assert taken.heartbeats["nightly"].settings == SETTINGS
    assert taken.heartbeats["nightly"].last_beat_at == NOON + MINUTE


def test_a_signal_with_a_period_makes_a_heartbeat() -> None:
    taken = take_beats([sent(every_seconds=60, grace_seconds=5), sent(signal_id="2")], {}, NOON)
    (heartbeat,) = taken.heartbeats.values()
    assert (heartbeat.managed_by, heartbeat.due_at) == ("sender", NOON + timedelta(seconds=65))
    assert [decision.decision for _, decision in taken.decided] == ["beat", "beat"]


def test_a_signal_does_not_enable_what_a_person_disabled() -> None:
    off = replace(made(), settings=SETTINGS.model_copy(update={"enabled": False}))
    taken = take_beats([sent(every_seconds=300, grace_seconds=60)], {"nightly": off}, NOON)
    assert taken.heartbeats["nightly"].status == "disabled"


def test_a_beat_of_none_is_told_apart() -> None:
    gone = remove(missed(), "sender", NOON)
    assert gone is not None
    for known in ({}, {"nightly": gone}):
        taken = take_beats([sent()], known, NOON)
        assert [one.decision for _, one in taken.decided] == ["unknown heartbeat"]
        assert taken.heartbeats == known
