"""One shape for all senders."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest

from services.intake.incidents.domain.description import assess
from services.intake.signals.domain import AlertData, RequestData, Signal, SignalContent, as_alert
from services.intake.signals.domain.normalisation import normalise
from services.intake.signals.policy import Normalisation
from shared.events.intake import Severity
from tests.unit.intake.builders import NOON, POLICY, decisions, kinds, only, take
from tests.unit.intake.builders import alert as alert_signal

DEFAULTS = Normalisation()


@dataclass
class Found:
    data: SignalContent
    sent_at: datetime
    said: list[str]


def applied(signal: Signal, policy: Normalisation) -> Found:
    changed, sent_at, said = normalise(signal, policy)
    return Found(signal.data.model_copy(update=changed), sent_at, said)


def normalised(policy: Normalisation = DEFAULTS, **data: Any) -> Found:
    body = AlertData(**{"summary": "disk full", "severity": "error", **data})
    return applied(Signal("probe", "1", NOON, NOON, None, body), policy)


def test_what_the_sender_leaves_empty_is_filled_from_labels_and_all_labels_stay() -> None:
    labels = {"service": "checkout", "env": "prod", "component": "db", "category": "capacity"}
    found = normalised(labels=labels)
    data = found.data
    assert isinstance(data, AlertData)
    assert (data.service, data.component, data.environment) == ("checkout", "db", "prod")
    assert data.category == "capacity"
    assert data.labels == labels
    assert "environment is that of `env`" in found.said


def test_what_the_sender_says_itself_counts() -> None:
    data = normalised(service="billing", labels={"service": "checkout"}).data
    assert isinstance(data, AlertData)
    assert data.service == "billing"


def test_policy_says_which_labels_name_what() -> None:
    policy = Normalisation(service=("squad_app", "app"), environment=())
    data = normalised(policy, labels={"app": "checkout", "env": "prod", "squad_app": " "}).data
    assert isinstance(data, AlertData)
    assert (data.service, data.environment) == ("checkout", None)


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        ("CRITICAL", Severity.CRITICAL),
        (" Warning ", Severity.WARNING),
        ("info", Severity.INFO),
        ("page", Severity.CRITICAL),
        ("P1", Severity.CRITICAL),
        ("p5", Severity.INFO),
        ("Disaster", Severity.CRITICAL),
        ("High", Severity.ERROR),
        ("warn", Severity.WARNING),
    ],
)
def test_severities_are_understood_in_any_case(sent: str, meant: Severity) -> None:
    found = normalised(severity=sent)
    assert isinstance(found.data, AlertData)
    assert found.data.severity == meant.value
    assert sent == meant.value or f"severity `{sent}` is {meant.value}" in found.said


@pytest.mark.parametrize("sent", ["none", None, "", "  ", "purple", "-1"])
def test_an_unknown_severity_takes_the_default_and_keeps_the_original_and_the_reason(
    sent: str | None,
) -> None:
    found = normalised(severity=sent)
    assert isinstance(found.data, AlertData)
    assert found.data.severity == sent
    assert any("the policy's default is taken" in text for text in found.said)
    alert = as_alert(Signal("probe", "1", NOON, NOON, None, found.data))
    assert alert is not None
    severity, reason = assess(alert, POLICY)
    assert severity is POLICY.default_severity
    assert reason is not None


def test_a_team_says_what_its_words_mean() -> None:
    policy = Normalisation(severities={"Purple": Severity.INFO, "page": Severity.WARNING})
    for sent, meant in (("PURPLE", "info"), ("page", "warning"), ("fatal", "critical")):
        data = normalised(policy, severity=sent).data
        assert isinstance(data, AlertData)
        assert data.severity == meant


def test_one_odd_member_of_a_group_never_blocks_the_rest() -> None:
    texts = ["none", None, "info", "page", "CRITICAL"]
    assert [type(normalised(severity=text).data) for text in texts] == [AlertData] * 5


def test_a_clock_three_hours_slow_is_noted_and_the_alert_fires() -> None:
    slow = timedelta(hours=3)
    found = normalised(starts_at=NOON - slow, ends_at=NOON - slow + timedelta(minutes=4))
    (said,) = [text for text in found.said if text.startswith("skew")]
    assert said.startswith("skew -3 h")
    assert isinstance(found.data, AlertData)
    assert found.data.status == "firing"


def test_a_fast_clock_is_noted_and_no_time_is_still_to_come() -> None:
    ahead = NOON + timedelta(days=400)
    body = AlertData(summary="disk full", starts_at=ahead)
    found = applied(Signal("probe", "1", ahead, NOON, None, body), DEFAULTS)
    assert isinstance(found.data, AlertData)
    assert found.sent_at == found.data.starts_at == NOON
    assert [text[:11] for text in found.said if text.startswith("skew")] == ["skew +400 d"]


def test_a_little_skew_is_none() -> None:
    soon = NOON + timedelta(seconds=90)
    body = AlertData(summary="disk full", severity="error", starts_at=soon)
    found = applied(Signal("probe", "1", soon, NOON, None, body), DEFAULTS)
    assert found == Found(body, soon, [])


def test_an_alert_that_began_two_days_ago_may_fire_and_end_as_often_as_it_likes() -> None:
    """The order is that in which signals come in, whatever their senders' clocks say."""
    old = NOON - timedelta(days=2)
    first = take([alert_signal(at=NOON, starts_at=old)])
    ended = take([alert_signal("resolved", at=NOON, starts_at=old)], first)
    assert only(ended).status == "cleared"
    again = take([alert_signal(at=old, starts_at=old, signal_id="late")])
    assert decisions(again) == ["opened"]
    over = take([alert_signal("resolved", at=old, starts_at=old)], again)
    assert decisions(over) == ["cleared"]
    assert [kind.__name__ for kind in kinds(over)] == ["IncidentCleared"]


def test_a_request_is_filled_too() -> None:
    body = RequestData(summary="access", labels={"service": "wiki", "message": "for Thursday"})
    data = applied(Signal("probe", "1", NOON, NOON, None, body), DEFAULTS).data
    assert isinstance(data, RequestData)
    assert (data.service, data.description) == ("wiki", "for Thursday")
