"""What the doctor makes of the state of a deployment: each trouble is named, with what to do."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shared.doctor.findings import (
    Finding,
    certificate_finding,
    database_findings,
    disk_finding,
    kafka_findings,
    lag_findings,
    replica_findings,
    schema_findings,
)
from shared.kafka.examination import KafkaState, TopicState
from shared.kafka.topics import TOPICS, Topic
from shared.postgres.backlog import Backlog
from shared.postgres.examination import Archive, DatabaseState
from shared.postgres.migrate import Migration
from shared.postgres.replicas import Replica

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
LONG_AGO = NOON - timedelta(days=3)
GOOD = DatabaseState(
    version="18.1",
    applied={},
    now=NOON,
    writable=True,
    backlog=Backlog(None, 0, NOON + timedelta(minutes=1)),
    led=True,
    replicas=[],
    retention_finished_at=NOON,
    retention_due_at=NOON,
    offsets={("tocsin.signals.v1", 0): 7},
    bytes=1,
    stored=60_000_000_000,
    log=1_000_000_000,
    server="7",
    retention_policy="",
    archive=Archive(True, NOON, None),
)
ONE = Replica("triage-0", "0.1.0", {"catalogue.yaml": "abc"}, NOON)
MIGRATION = Migration("triage/0001_triage.sql", "CREATE TABLE t ()")
SIGNALS = Topic("tocsin.signals.v1", partitions=1, retention=timedelta(days=7))


def topic_like(topic: Topic) -> TopicState:
    configuration = topic.configuration
    return TopicState(topic.partitions, configuration, (), (), {0: 0}, {0: 7})


def texts(found: list[Finding]) -> str:
    """All that is said, in one text; every finding says what to do."""
    assert all(finding.fix for finding in found if finding.severity != "good")
    return "\n".join(f"{one.severity} {one.about}: {one.text} -> {one.fix}" for one in found)


def test_nothing_is_found_where_all_is_well() -> None:
    kafka = KafkaState([("broker", 9092)], {topic.name: topic_like(topic) for topic in TOPICS})
    assert [*database_findings("triage", GOOD, NOON)] == []
    assert [*replica_findings("triage", [ONE, replace(ONE, name="triage-1")], "0.1.0")] == []
    assert [*kafka_findings(kafka, TOPICS)] == []
    assert [*lag_findings("triage", GOOD, kafka)] == []
    assert [*schema_findings("triage", [MIGRATION], {MIGRATION.name: MIGRATION.checksum})] == []


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (replace(GOOD, writable=False), "problem triage: the database is a standby"),
        (
            replace(GOOD, backlog=Backlog(NOON - timedelta(minutes=2), 1204, None)),
            "problem triage: 1,204 events wait to be published, the oldest for 120 s",
        ),
        (
            replace(GOOD, backlog=Backlog(None, 0, NOON - timedelta(minutes=2))),
            "problem triage: the oldest timer is overdue by 120 s",
        ),
        (replace(GOOD, led=False), "problem triage: no replica leads"),
        (replace(GOOD, retention_due_at=LONG_AGO), "triage: retention was due on 2026-02-26"),
        (replace(GOOD, archive=Archive(False, None, None)), "triage: write-ahead log is not"),
        (replace(GOOD, archive=Archive(True, LONG_AGO, NOON)), "problem triage: archiving fails"),
        (replace(GOOD, now=NOON - timedelta(seconds=3)), "this machine's clock is +3.0 s off"),
    ],
)
def test_troubles_of_a_database(state: DatabaseState, said: str) -> None:
    found = [*database_findings("triage", state, NOON)]
    assert len(found) == 1
    assert said in texts(found)


@pytest.mark.parametrize(
    ("applied", "said"),
    [
        (
            {},
            "1 migrations are missing, from triage/0001_triage.sql -> run `tocsin triage migrate`",
        ),
        (
            {MIGRATION.name: MIGRATION.checksum, "triage/0009_later.sql": "x"},
            "the schema is newer than this program: triage/0009_later.sql",
        ),
        ({MIGRATION.name: "another"}, "triage/0001_triage.sql is not the file that was applied"),
    ],
)
def test_a_schema_of_another_version(applied: dict[str, str], said: str) -> None:
    assert said in texts([*schema_findings("triage", [MIGRATION], applied)])


@pytest.mark.parametrize(
    ("other", "severity", "said"),
    [
        (
            replace(ONE, name="triage-1", policies={"catalogue.yaml": "def"}),
            "problem",
            "different versions of catalogue.yaml: abc: triage-0; def: triage-1",
        ),
        (
            replace(ONE, name="triage-1", version="0.2.0"),
            "warning",
            "replicas run 0.2.0; this program is 0.1.0",
        ),
        (
            replace(ONE, name="triage-1", ahead=-20.0),
            "problem",
            "the clock of triage-1 is -20.0 s off",
        ),
    ],
)
def test_replicas_that_differ(other: Replica, severity: str, said: str) -> None:
    found = [*replica_findings("triage", [ONE, other], "0.1.0")]
    assert [one.severity for one in found] == [severity]
    assert said in texts(found)


def test_a_service_that_does_not_run() -> None:
    assert "no replica runs" in texts([*replica_findings("triage", [], "0.1.0")])


@pytest.mark.parametrize(
    ("topic", "said"),
    [
        (None, "problem kafka: there is no topic tocsin.signals.v1"),
        (replace(topic_like(SIGNALS), partitions=0), "has 0 partitions, not 1"),
        (replace(topic_like(SIGNALS), configuration={}), "has cleanup.policy None, not delete"),
        (replace(topic_like(SIGNALS), leaderless=(3,)), "partitions without a leader: 3"),
        (replace(topic_like(SIGNALS), lagging=(1, 2)), "replicas that are behind, of 1, 2"),
    ],
)
def test_topics_that_are_not_as_declared(topic: TopicState | None, said: str) -> None:
    kafka = KafkaState([("broker", 9092)], {SIGNALS.name: topic} if topic else {})
    assert said in texts([*kafka_findings(kafka, [SIGNALS])])


@pytest.mark.parametrize(
    ("beginning", "end", "said"),
    [
        (0, 2000, "1,993 records of tocsin.signals.v1 are not read yet"),
        (9, 12, "tocsin.signals.v1/0 begins at 9, above what is read next: 7"),
        (0, 3, "tocsin.signals.v1/0 ends at 3, below what is read next: 7"),
    ],
)
def test_logs_that_are_far_ahead_or_others_than_before(beginning: int, end: int, said: str) -> None:
    topic = replace(topic_like(SIGNALS), beginnings={0: beginning}, ends={0: end})
    kafka = KafkaState([("broker", 9092)], {SIGNALS.name: topic})
    assert said in texts([*lag_findings("triage", GOOD, kafka)])


@pytest.mark.parametrize(("days", "severity"), [(-1, "problem"), (20, "warning"), (22, "good")])
def test_certificates(days: int, severity: str) -> None:
    found = certificate_finding("TOCSIN_PUBLIC_URL", NOON + timedelta(days=days), NOON)
    assert found.severity == severity
    assert texts([found])


def test_pages_that_fixes_name_exist() -> None:
    """Fixes are read by people in a hurry."""
    source = Path("shared/doctor/findings.py").read_text()
    named = set(re.findall(r"docs/[\w/-]+\.md", source))
    assert len(named) > 3
    assert [name for name in named if not Path(name).is_file()] == []


@pytest.mark.parametrize(
    ("capacity", "said"),
    [
        (None, "good postgres: 60.0 GB of data and up to 1.0 GB of write-ahead log; TOCSIN_"),
        (122_000_000_000, "good postgres: 60.0 GB of data .*: 50% of its 122.0 GB"),
        (75_000_000_000, "warning postgres: .*: 81% of its 75.0 GB -> enlarge the volume"),
        (64_000_000_000, "problem postgres: .*: 95% of its 64.0 GB -> enlarge the volume"),
    ],
)
def test_a_disk_that_fills_is_found_where_its_size_is_stated(
    capacity: int | None, said: str
) -> None:
    assert re.search(said, texts([disk_finding("postgres", GOOD, capacity)]))
