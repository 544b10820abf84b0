"""Incidents end or move on without a signal."""

from dataclasses import replace
from datetime import timedelta
from itertools import count

from services.intake.incidents.domain.ending import Ended, close, expire
from services.intake.incidents.policy import IntakePolicy, Rule
from shared.events.intake import IncidentCleared, IncidentReported, IncidentUpdated
from tests.unit.intake.builders import NOON, POLICY, alert, kinds, only, take


def test_a_refresh_within_the_grace_gives_no_clear_and_a_later_silence_does() -> None:
    ends = NOON + timedelta(minutes=5)
    opened = take([alert(ends_at=ends)])
    (armed,) = opened.expiry_due
    assert armed.expiry_armed_at == ends + POLICY.expiry_grace
    late = take([alert(ends_at=ends + timedelta(minutes=5))], opened, ends + timedelta(seconds=30))
    assert IncidentCleared not in kinds(late)
    assert late.expiry_due == [], "the armed timer will look again"
    # The first timer finds no alert past its end, and arms itself for the new one.
    none = Ended(0, (), were_held=False, next_end=ends + timedelta(minutes=5))
    kept, event = expire(only(late), none, POLICY, 0, ends + timedelta(minutes=2))
    assert event is None
    assert kept.expiry_armed_at == ends + timedelta(minutes=7)
    one = Ended(1, (), were_held=False, next_end=ends + timedelta(hours=1))
    fewer, event = expire(replace(kept, alerts_firing=2), one, POLICY, 0, ends)
    assert event is not None
    assert isinstance(event.fact, IncidentUpdated), "some alerts ended, others fire"
    assert (fewer.status, fewer.alerts_firing, event.fact.incident.alerts_firing) == ("open", 1, 1)
    over, event = expire(kept, replace(one, next_end=None), POLICY, 0, ends + timedelta(minutes=7))
    assert over.status == "cleared"
    assert event is not None
    assert isinstance(event.fact, IncidentCleared)
    assert event.fact.reason == "expired"


class TestResolvedByAPerson:
    def test_what_they_saw_is_closed(self) -> None:
        incident = only(take([alert()]))
        closed, event = close(incident, incident.sequence, count(2000), 0, NOON)
        assert closed.status == "closed"
        assert event is None

    def test_a_signal_they_had_not_seen_opens_a_new_incident(self) -> None:
        opened = take([alert()])
        raced = take([alert(signal_id="late")], opened, NOON + timedelta(seconds=1))
        closed, event = close(
            only(raced), only(opened).sequence, count(2000), 0, NOON + timedelta(seconds=2)
        )
        assert closed.status == "closed"
        assert event is not None
        assert isinstance(event.fact, IncidentReported)
        assert event.incident.incident_id != closed.incident_id
        assert (event.incident.number, event.incident.status, event.incident.sequence) == (
            2000,
            "open",
            1,
        )

    def test_the_new_incident_is_known_though_a_restored_one_was_to_be_reported_late(self) -> None:
        late = IntakePolicy(rules=[Rule(open_after=timedelta(minutes=5))])
        again = take([alert()], policy=late)
        raced = take([alert(signal_id="late")], again, policy=late)
        _, event = close(only(raced), 0, count(2000), 0, NOON)
        assert event is not None
        ended = Ended(alerts=1, keys={""}, were_held=False, next_end=None)
        _, told = expire(event.incident, ended, late, 0, NOON + timedelta(minutes=1))
        assert told is not None, "who was paged hears that it is over"
        assert isinstance(told.fact, IncidentCleared)

    def test_an_end_they_had_not_seen_opens_nothing(self) -> None:
        opened = take([alert(alert="a"), alert(alert="b")])
        raced = take([alert("resolved", alert="a")], opened, NOON + timedelta(minutes=1))
        _, event = close(only(raced), only(opened).sequence, count(2000), 0, NOON)
        assert event is None

    def test_a_replayed_resolution_changes_nothing(self) -> None:
        incident = only(take([alert()]))
        closed, _ = close(incident, incident.sequence, count(2000), 0, NOON)
        assert close(closed, incident.sequence, count(2000), 0, NOON) == (closed, None)
