"""What the state of a deployment means, and what to do about it. Pure decisions."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from shared.kafka.examination import KafkaState, TopicState
from shared.kafka.topics import Topic
from shared.postgres.examination import DatabaseState
from shared.postgres.migrate import Migration
from shared.postgres.replicas import Replica
from shared.runtime.clock import seconds_since

LATE_SECONDS = 60
MAX_LAG = 1000
MAX_AHEAD_SECONDS = 2.0
SOON = timedelta(days=21)
FILLING, FULL = 0.8, 0.9
"""Shares of a disk."""
_OVERDUE = timedelta(days=1)

Severity = Literal["problem", "warning", "good"]


@dataclass(frozen=True, slots=True)
class Finding:
    """`about` is a service, or what is examined. `fix` is what to do; empty where all is well."""

    severity: Severity
    about: str
    text: str
    fix: str = ""


def problem(about: str, text: str, fix: str) -> Finding:
    """Something does not work, or will not for long."""
    return Finding("problem", about, text, fix)


def warning(about: str, text: str, fix: str) -> Finding:
    """Something that is not urgent."""
    return Finding("warning", about, text, fix)


def schema_findings(
    service: str, wanted: Sequence[Migration], applied: Mapping[str, str]
) -> Iterator[Finding]:
    """Whether a schema is that of this program."""
    names = {migration.name for migration in wanted}
    missing = [migration.name for migration in wanted if migration.name not in applied]
    changed = [one.name for one in wanted if applied.get(one.name, one.checksum) != one.checksum]
    if missing:
        fix = f"run `tocsin {service} migrate`"
        yield problem(service, f"{len(missing)} migrations are missing, from {missing[0]}", fix)
    if newer := sorted(applied.keys() - names):
        fix = "examine it with the newer version; roll services that are older than the schema"
        yield problem(service, f"the schema is newer than this program: {newer[0]}", fix)
    if changed:
        fix = "install the version that the migration came with"
        yield problem(service, f"{changed[0]} is not the file that was applied", fix)


def database_findings(service: str, state: DatabaseState, clock: datetime) -> Iterator[Finding]:
    """What a service's database shows."""
    if not state.writable:
        fix = "point TOCSIN_POSTGRES to the primary"
        yield problem(service, "the database is a standby, which takes no writes", fix)
    outbox = seconds_since(state.backlog.outbox_since, state.now)
    if outbox > LATE_SECONDS:
        rows = state.backlog.outbox_rows
        text = f"{rows:,} events wait to be published, the oldest for {outbox:.0f} s"
        yield problem(service, text, "see docs/runbooks/TocsinOutboxOld.md")
    timers = seconds_since(state.backlog.timer_due, state.now)
    if timers > LATE_SECONDS:
        text = f"the oldest timer is overdue by {timers:.0f} s"
        yield problem(service, text, "see docs/runbooks/TocsinTimersLate.md")
    if not state.led:
        fix = "start a replica, or see `relay` in /readyz of those that run"
        yield problem(service, "no replica leads: nothing is published", fix)
    if state.retention_due_at < state.now - _OVERDUE:
        text = f"retention was due on {state.retention_due_at:%Y-%m-%d %H:%M} UTC and did not run"
        yield warning(service, text, "see docs/runbooks/TocsinRetentionOverdue.md")
    yield from _archive(service, state)
    ahead = (clock - state.now).total_seconds()
    if abs(ahead) > MAX_AHEAD_SECONDS:
        text = f"this machine's clock is {ahead:+.1f} s off the database's"
        yield warning(service, text, "synchronise both machines by NTP")


def disk_finding(about: str, state: DatabaseState, capacity: int | None) -> Finding:
    """How much of its disk a server needs, where somebody says how large that is. Postgres itself
    cannot know how much is free.
    """
    text = f"{_size(state.stored)} of data and up to {_size(state.log)} of write-ahead log"
    if not capacity:
        return Finding("good", about, f"{text}; TOCSIN_POSTGRES_DISK would say of how much")
    share = (state.stored + state.log) / capacity
    text += f": {share:.0%} of its {_size(capacity)}"
    fix = "enlarge the volume and TOCSIN_POSTGRES_DISK, or shorten periods in retention.yaml"
    if share >= FULL:
        return problem(about, text, fix)
    return warning(about, text, fix) if share >= FILLING else Finding("good", about, text)


def _size(octets: int) -> str:
    return f"{octets / 1e9:,.1f} GB"


def _archive(service: str, state: DatabaseState) -> Iterator[Finding]:
    archive = state.archive
    if not archive.enabled:
        fix = "see docs/runbooks/restore-a-schema.md, section Prepare"
        yield warning(service, "write-ahead log is not archived: no point-in-time restore", fix)
    elif archive.failed_at and (not archive.archived_at or archive.failed_at > archive.archived_at):
        fix = "see the server's log for archive_command; the log fills the disk until it works"
        yield problem(service, f"archiving fails since {archive.failed_at:%Y-%m-%d %H:%M} UTC", fix)


def replica_findings(
    service: str, replicas: Sequence[Replica], program_version: str
) -> Iterator[Finding]:
    """Whether all processes of a service are alike, and what time they think it is."""
    if not replicas:
        yield problem(service, "no replica runs", f"start `tocsin {service} serve`")
    versions = sorted({replica.version for replica in replicas} - {program_version})
    if versions:
        text = f"replicas run {', '.join(versions)}; this program is {program_version}"
        yield warning(service, text, "fine while an upgrade rolls; else finish it")
    files = sorted({name for replica in replicas for name in replica.policies})
    for name in files:
        held: dict[str, list[str]] = {}
        for replica in replicas:
            held.setdefault(replica.policies.get(name, "none"), []).append(replica.name)
        if len(held) > 1:
            which = "; ".join(f"{version}: {', '.join(who)}" for version, who in held.items())
            fix = f"give all the same file; `tocsin policy check` says why one refuses {name}"
            yield problem(service, f"replicas follow different versions of {name}: {which}", fix)
    for replica in replicas:
        if abs(replica.ahead) > MAX_AHEAD_SECONDS:
            text = f"the clock of {replica.name} is {replica.ahead:+.1f} s off the database's"
            yield problem(service, text, "synchronise its machine by NTP")


def kafka_findings(state: KafkaState, declared: Sequence[Topic]) -> Iterator[Finding]:
    """Whether the topics are as they are declared, and can be used."""
    for topic in declared:
        found = state.topics.get(topic.name)
        if found is None:
            yield problem("kafka", f"there is no topic {topic.name}", "run `tocsin topics apply`")
            continue
        if found.partitions < topic.partitions:
            text = f"{topic.name} has {found.partitions} partitions, not {topic.partitions}"
            yield problem("kafka", text, "run `tocsin topics apply`")
        for name, value in topic.configuration.items():
            if (seen := found.configuration.get(name)) != value:
                text = f"{topic.name} has {name} {seen}, not {value}"
                yield warning("kafka", text, "run `tocsin topics apply`")
        if found.leaderless:
            text = f"{topic.name} has partitions without a leader: {_list(found.leaderless)}"
            yield problem("kafka", text, "see which brokers are down")
        if found.lagging:
            text = f"{topic.name} has replicas that are behind, of {_list(found.lagging)}"
            yield warning("kafka", text, "see which brokers are down or slow")


def _list(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))


def lag_findings(service: str, state: DatabaseState, kafka: KafkaState) -> Iterator[Finding]:
    """How far a service is behind the logs that it reads, by its own offset rows."""
    behind: dict[str, int] = {}
    for (name, partition), next_offset in state.offsets.items():
        topic = kafka.topics.get(name)
        if topic is None or partition not in topic.ends:
            continue
        if lost := _lost(topic, partition, next_offset):
            fix = 'see docs/operations.md, "When a partition stops"'
            yield problem(service, f"{name}/{partition} {lost}", fix)
        behind[name] = behind.get(name, 0) + max(topic.ends[partition] - next_offset, 0)
    for name, records in behind.items():
        if records > MAX_LAG:
            fix = "see docs/runbooks/TocsinConsumerBehind.md"
            yield problem(service, f"{records:,} records of {name} are not read yet", fix)


def _lost(topic: TopicState, partition: int, next_offset: int) -> str:
    """What is wrong with a log; empty if it goes on where the row stands."""
    beginning, end = topic.beginnings[partition], topic.ends[partition]
    if next_offset < beginning:
        return f"begins at {beginning}, above what is read next: {next_offset}"
    if next_offset > end:
        return f"ends at {end}, below what is read next: {next_offset}"
    return ""


def certificate_finding(about: str, expires_at: datetime, now: datetime) -> Finding:
    """Whether a certificate holds for a while."""
    if expires_at < now:
        return problem(about, f"its certificate expired on {expires_at:%Y-%m-%d}", "renew it")
    if expires_at < now + SOON:
        return warning(about, f"its certificate expires on {expires_at:%Y-%m-%d}", "renew it")
    return Finding("good", about, f"its certificate holds until {expires_at:%Y-%m-%d}")
