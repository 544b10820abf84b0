"""retention.yaml: what it may say."""

from datetime import timedelta
from importlib import import_module

import pytest

from shared.kafka.topics import TOPICS
from shared.policy.files import InvalidPolicy
from shared.policy.retention import RetentionPlan, make_plan
from shared.runtime.discovery import RETENTION, installed


def plan_of(service: str, text: str = "", intake: str = "") -> RetentionPlan:
    texts = {"retention.yaml": text.encode(), "intake.yaml": intake.encode()}
    return make_plan(texts, import_module(f"services.{service}.retention.policy").periods)


@pytest.mark.parametrize("entry", list(installed(RETENTION)), ids=lambda entry: entry.name)
def test_a_service_keeps_every_kind_that_ages_for_a_time(entry: object) -> None:
    name = getattr(entry, "name", "")
    kinds = [aging.kind for aging in import_module(f"services.{name}.retention.store").AGING]
    assert sorted(plan_of(name).periods) == sorted(kinds)
    assert plan_of(name).every == timedelta(days=1)


def test_a_section_changes_its_service_and_no_other() -> None:
    text = "every: 6h\nintake: {incidents: 40d}\n"
    assert plan_of("intake", text).periods["incidents"] == timedelta(days=40)
    assert plan_of("triage", text).periods["incidents"] == timedelta(days=90)
    assert plan_of("triage", text).every == timedelta(hours=6)
    assert plan_of("triage", text).version != plan_of("triage").version


def test_signals_are_kept_as_long_as_repeats_are_recognised() -> None:
    periods = plan_of("intake", intake="duplicate_window: 9d").periods
    assert periods["signals"] == periods["early_resolutions"] == timedelta(days=9)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("intak: {}", "retention.yaml:1: unknown key `intak`; did you mean `intake`?"),
        (
            "intake: {incident: 90d}",
            "retention.yaml:1: unknown key `incident`; did you mean `incidents`?",
        ),
        (
            "\ntriage: {incidents: 30d}",
            "retention.yaml:2: `triage.incidents`: must be from 31d, since Kafka keeps what made "
            "it for 30 days, to 36500d",
        ),
        ("every: 10s", "retention.yaml:1: `every`: must be greater than or equal to 1 minute"),
    ],
)
def test_errors_name_the_line_and_the_fix(text: str, error: str) -> None:
    with pytest.raises(InvalidPolicy) as refused:
        plan_of("intake", text)
    assert str(refused.value) == error


def test_no_topic_keeps_records_as_long_as_what_they_made() -> None:
    longest = max(topic.retention for topic in TOPICS if topic.retention)
    assert longest < timedelta(days=31)
