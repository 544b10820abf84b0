"""What kind of thing a signal is about."""

from datetime import timedelta
from typing import Any

from services.intake.signals.domain import AlertData, ChangeData, RequestData, Signal
from services.intake.signals.domain.classification import classify
from services.intake.signals.policy import ClassRule
from tests.unit.intake.builders import NOON

ACCESS = ClassRule(kind="request", integration="mail", summary="(?i)please|access")
WATCH = ClassRule(kind="patch", labels={"alertname": "Upgrade.*", "team": "platform"})


def signal(signal_id: str = "1", origin: str = "mail smtp", **data: Any) -> Signal:
    body = AlertData(**{"summary": "Please give me access", "key": "k", **data})
    return Signal(origin, signal_id, NOON, NOON, None, body)


def test_the_first_rule_that_matches_says_what_it_is() -> None:
    found = classify(signal(description="for Thursday", service="wiki"), (WATCH, ACCESS))
    assert found.data == RequestData(
        summary="Please give me access", service="wiki", description="for Thursday"
    )
    assert found.reasons.classified == "request, by rule 2"


def test_all_that_a_rule_names_has_to_match() -> None:
    rules = (ACCESS, WATCH)
    for other in (
        signal(origin="grafana alerting"),
        signal(summary="disk full"),
        signal(summary="x", labels={"alertname": "UpgradeDue"}),
        signal(summary="x", labels={"alertname": "NoUpgradeDue", "team": "platform"}),
    ):
        assert classify(other, rules) == other
    due = signal(summary="x", labels={"alertname": "UpgradeDue", "team": "platform"})
    found = classify(due, rules).data
    assert isinstance(found, ChangeData)
    assert found.kind == "patch"


def test_repeats_of_an_alert_that_goes_on_are_one_request_and_the_next_is_another() -> None:
    first, repeat = (classify(signal(one, starts_at=NOON), (ACCESS,)) for one in "ab")
    assert first.subject == repeat.subject
    assert first.identity != repeat.identity
    later = classify(signal("c", starts_at=NOON + timedelta(hours=1)), (ACCESS,))
    assert later.subject != first.subject
    other = classify(signal("d", starts_at=NOON, key="other"), (ACCESS,))
    assert other.subject != first.subject


def test_the_end_of_an_alert_ends_the_incident_that_there_may_be() -> None:
    ended = signal(status="resolved")
    assert classify(ended, (ACCESS,)) == ended


def test_requests_become_incidents_each_of_its_own() -> None:
    rule = ClassRule(kind="incident", summary="down")
    data = RequestData(summary="the wiki is down", service="wiki")
    one, two = (classify(Signal("portal form", id, NOON, NOON, None, data), (rule,)) for id in "ab")
    assert isinstance(one.data, AlertData)
    assert isinstance(two.data, AlertData)
    assert (one.data.status, one.data.service) == ("firing", "wiki")
    assert one.data.key != two.data.key
