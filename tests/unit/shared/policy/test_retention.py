"""retention.yaml: what it may say."""

from datetime import timedelta
from importlib import import_module
from pathlib import Path

import pytest

from shared.kafka.topics import TOPICS
from shared.policy.files import InvalidPolicy
from shared.policy.retention import RetentionPlan, make_plan, topics_by, topics_in
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
        (
            "topics: {tocsin.sinals.v1: 7d}",
            "retention.yaml:1: there is no topic `tocsin.sinals.v1`; did you mean "
            "`tocsin.signals.v1`?",
        ),
        (
            "topics: {tocsin.signals.v1: 23h}",
            "retention.yaml:1: `topics.tocsin.signals.v1`: must be from 1d, since a service that "
            "is away for longer loses what it did not read, to 36500d",
        ),
        (
            "topics: {tocsin.incidents.v1: 7d}",
            "retention.yaml:1: `tocsin.incidents.v1` is compacted: it keeps the newest record of "
            "each key, however old",
        ),
        (
            "reporting: {synthetic_incidents: 60d}\ntopics: {tocsin.intake.v1: 60d}",
            "retention.yaml:2: `tocsin.intake.v1`: must be a day shorter than "
            "`reporting.synthetic_incidents`, which is 60d: a record must not outlive what it made"
            "; or set `reporting.synthetic_incidents` to 61d",
        ),
    ],
)
def test_errors_name_the_line_and_the_fix(text: str, error: str) -> None:
    with pytest.raises(InvalidPolicy) as refused:
        plan_of("intake", text)
    assert str(refused.value) == error


def test_no_topic_keeps_records_as_long_as_what_they_made() -> None:
    segment = max(int(topic.configuration.get("segment.ms", "0")) for topic in TOPICS)
    longest = max(topic.retention for topic in TOPICS if topic.retention)
    assert longest + timedelta(milliseconds=segment) < timedelta(days=31)


def test_topics_keep_records_as_declared_unless_the_policy_says_otherwise(tmp_path: Path) -> None:
    assert topics_in(tmp_path) == topics_by(b"") == TOPICS
    text = "topics: {tocsin.signals.v1: 14d, tocsin.dead-letters.v1: 365d}"
    (tmp_path / "retention.yaml").write_text(text)
    changed = {topic.name: topic for topic in topics_in(tmp_path) if topic not in TOPICS}
    assert {name: topic.retention for name, topic in changed.items()} == {
        "tocsin.signals.v1": timedelta(days=14),
        "tocsin.dead-letters.v1": timedelta(days=365),
    }
    assert changed["tocsin.signals.v1"].configuration["retention.ms"] == "1209600000"
