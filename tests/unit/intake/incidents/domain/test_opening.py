"""What is held back: incidents that may not last, ends that may not last, and flapping."""

from datetime import timedelta

from services.intake.incidents.domain.ending import Ended, expire, report_held_back
from services.intake.incidents.domain.incident import BatchResult, Incident
from services.intake.incidents.policy import Flapping, IntakePolicy, Rule
from shared.events.intake import IncidentCleared, IncidentReported
from tests.unit.intake.builders import NOON, POLICY, alert, brief, decisions, kinds, only, take

_MINUTE = timedelta(minutes=1)


def policy(**changed: object) -> IntakePolicy:
    return POLICY.model_copy(update=changed)


def clear_of(incident: Incident, used: IntakePolicy) -> str:
    """The reason with which an incident clears when all its held alerts end."""
    ended = Ended(incident.alerts_firing, (), were_held=True, next_end=None)
    over, event = expire(incident, ended, used, 0, NOON)
    assert over.status == "cleared"
    assert event is not None
    assert isinstance(event.fact, IncidentCleared)
    return event.fact.reason


class TestADelayBeforeOpening:
    used = policy(rules=[Rule(open_after=_MINUTE)])

    def test_nobody_hears_of_what_does_not_last(self) -> None:
        opened = take([alert()], policy=self.used)
        assert opened.events == []
        assert [one.opens_at for one in opened.open_due] == [NOON + _MINUTE]
        over = take([alert(), alert("resolved")], opened, NOON + _MINUTE / 2, policy=self.used)
        assert over.events == []
        assert decisions(over) == ["joined", "cleared"]
        assert report_held_back(only(over), 0, NOON + _MINUTE) is None

    def test_what_lasts_is_reported(self) -> None:
        opened = take([alert()], policy=self.used)
        assert report_held_back(only(opened), 0, NOON + _MINUTE / 2) is None, "not yet"
        event = report_held_back(only(opened), 0, NOON + _MINUTE)
        assert event is not None
        assert isinstance(event.fact, IncidentReported)
        assert report_held_back(event.incident, 0, NOON + _MINUTE) is None, "once"

    def test_in_one_batch_it_leaves_no_event(self) -> None:
        both = take([alert(), alert("resolved")], policy=self.used)
        assert both.events == []
        assert only(both).status == "cleared"


class TestADelayBeforeClearing:
    used = policy(rules=[Rule(clear_after=5 * _MINUTE)])

    def test_the_last_alert_holds_its_incident_open(self) -> None:
        opened = take([alert()], policy=self.used)
        held = take([alert("resolved")], opened, policy=self.used)
        assert decisions(held) == ["held"]
        assert IncidentCleared not in kinds(held)
        incident = only(held)
        assert incident.expiry_armed_at == NOON + 5 * _MINUTE
        assert incident.incident_id in {one.incident_id for one in held.expiry_due}
        assert clear_of(incident, self.used).startswith("resolved at the source")
        repeated = take([alert("resolved")], held, NOON + _MINUTE, policy=self.used)
        assert decisions(repeated) == ["held"]
        assert only(repeated).expiry_armed_at == NOON + 5 * _MINUTE, "a repeat does not prolong it"

    def test_what_fires_again_is_the_same_incident(self) -> None:
        held = take([alert("resolved")], take([alert()], policy=self.used), policy=self.used)
        again = take([alert()], held, NOON + _MINUTE, policy=self.used)
        assert decisions(again) == ["joined"]
        (member,) = again.members.values()
        assert brief(member) == (True, None, 1)


class TestSilence:
    def test_an_alert_that_is_not_sent_again_expires_by_policy(self) -> None:
        used = policy(rules=[Rule(expire_after=timedelta(hours=6))])
        opened = take([alert()], policy=used)
        assert only(opened).expiry_armed_at == NOON + timedelta(hours=6)
        again = take([alert()], opened, NOON + timedelta(hours=5), policy=used)
        (member,) = again.members.values()
        assert member.ends_at == NOON + timedelta(hours=11) - POLICY.expiry_grace


class TestFlapping:
    used = policy(flapping=Flapping(episodes=3, within=30 * _MINUTE, calm=10 * _MINUTE))

    def cycle(self, times: int, step: timedelta = _MINUTE) -> BatchResult:
        """Begin and end an alert again and again; it begins once more."""
        result = BatchResult()
        for place in range(times - 1):
            result = take([alert()], result, NOON + place * step, policy=self.used)
            result = take([alert("resolved")], result, NOON + place * step, policy=self.used)
        return take([alert()], result, NOON + (times - 1) * step, policy=self.used)

    def test_the_incident_that_begins_too_often_stays_open_until_it_is_calm(self) -> None:
        third = self.cycle(3)
        (event,) = third.events
        assert isinstance(event.fact, IncidentReported)
        assert event.fact.incident.flapping
        at = NOON + 3 * _MINUTE
        held = take([alert("resolved")], third, at, policy=self.used)
        again = take([alert()], held, at + _MINUTE, policy=self.used)
        once_more = take([alert("resolved")], again, at + 2 * _MINUTE, policy=self.used)
        assert decisions(held) + decisions(again) + decisions(once_more) == [
            "held",
            "joined",
            "held",
        ]
        assert IncidentReported not in kinds(held) + kinds(again) + kinds(once_more)
        incident = once_more.changed[event.incident.incident_id]
        assert "flapping" in clear_of(incident, self.used)

    def test_rare_episodes_do_not_count(self) -> None:
        third = self.cycle(3, step=20 * _MINUTE)
        (event,) = third.events
        assert not event.fact.incident.flapping

    def test_it_can_be_switched_off(self) -> None:
        off = policy(flapping=None)
        result = BatchResult()
        for place in range(10):
            result = take([alert()], result, NOON + place * _MINUTE, policy=off)
            result = take([alert("resolved")], result, NOON + place * _MINUTE, policy=off)
            assert decisions(result) == ["cleared"]


def test_the_description_is_that_of_an_annotation_where_the_sender_gives_none() -> None:
    described = {"description": "91 % of /var"}
    assert only(take([alert(annotations=described)])).description == "91 % of /var"
    own = take([alert(description="its own", annotations=described)])
    assert only(own).description == "its own"
