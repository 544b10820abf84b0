"""What an integration adds to its signals, and what it leaves alone."""

import orjson
import pytest

from services.intake.integrations.domain import Integration
from services.intake.signals.domain import AlertData, ChangeData, RequestData, Signal, as_alert
from services.intake.signals.domain.additions import with_settings
from services.intake.signals.domain.bounds import MAX_LABEL_BYTES
from tests.unit.intake.builders import NOON

EU = Integration(name="eu", labels={"cluster": "eu-1"}, environment="prod", team="web")


def signal(data: AlertData | RequestData | ChangeData) -> Signal:
    return Signal("eu probe", "1", NOON, NOON, None, data)


def labelled(integration: Integration, **labels: str) -> Signal:
    (made,) = with_settings([signal(AlertData(summary="x", labels=labels))], integration)
    return made


@pytest.mark.parametrize("kind", [AlertData, RequestData, ChangeData])
def test_every_kind_of_signal_gets_the_labels(kind: type[AlertData]) -> None:
    (made,) = with_settings([signal(kind(summary="x", labels={"a": "b"}))], EU)
    expected = {"cluster": "eu-1", "environment": "prod", "team": "web", "a": "b"}
    assert made.data.labels == expected
    assert made.sender is EU


def test_what_the_sender_says_itself_stays() -> None:
    made = labelled(EU, environment="test", cluster="us-1")
    assert made.data.labels == {"environment": "test", "cluster": "us-1", "team": "web"}
    assert made.added == {"team"}


def test_without_settings_nothing_is_touched() -> None:
    signals = [signal(AlertData(summary="x"))]
    assert with_settings(signals, Integration(name="plain")) is signals


def test_an_alert_that_names_no_key_is_the_same_alert_after_its_integration_has_changed() -> None:
    before, after = labelled(Integration(name="eu"), a="b"), labelled(EU, a="b")
    assert (one := as_alert(before)) is not None
    assert (two := as_alert(after)) is not None
    assert one.fingerprint == two.fingerprint
    other = as_alert(labelled(EU, a="b", environment="test"))
    assert other is not None
    assert other.fingerprint != one.fingerprint


def test_added_labels_stay_where_labels_are_too_many() -> None:
    made = labelled(EU, **{f"l{n}": "\n" * 4096 for n in range(100)})
    assert made.data.labels["cluster"] == "eu-1"
    assert len(orjson.dumps(made.data.labels)) < MAX_LABEL_BYTES
