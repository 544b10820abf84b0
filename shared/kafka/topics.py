"""The topics, declared once and created by `tocsin topics apply`, never by a first message."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import TopicAlreadyExistsError, TopicAuthorizationFailedError, for_code

from shared.events import commands, escalation, intake, operations, rejections, reporting, triage
from shared.kafka.diagnosis import explained
from shared.kafka.security import PLAINTEXT, Security

SIGNALS = "tocsin.signals.v1"
REDRIVE = "tocsin.redrive.v1"


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic's shape. Without `retention` it is compacted to the newest record of each key."""

    name: str
    partitions: int = 6
    retention: timedelta | None = timedelta(days=30)

    @property
    def configuration(self) -> dict[str, str]:
        """Kafka's topic configuration."""
        if self.retention is None:
            return {"cleanup.policy": "compact"}
        milliseconds = int(self.retention.total_seconds() * 1000)
        return {"cleanup.policy": "delete", "retention.ms": str(milliseconds)}


TOPICS = (
    Topic(SIGNALS, retention=timedelta(days=7)),
    Topic(intake.TOPIC),
    Topic(triage.TOPIC),
    Topic(escalation.TOPIC),
    Topic(commands.TOPIC, partitions=3, retention=timedelta(days=7)),
    Topic(reporting.TOPIC, retention=None),
    Topic(rejections.REJECTIONS, partitions=1),
    Topic(rejections.DEAD_LETTERS, partitions=1),
    Topic(operations.TOPIC, partitions=1),
    Topic(REDRIVE, partitions=1),
)


async def apply_topics(
    bootstrap: str,
    prefix: str = "",
    topics: Sequence[Topic] = TOPICS,
    replication: int = -1,
    *,
    security: Security = PLAINTEXT,
) -> list[str]:
    """Create missing topics, add partitions, set the configuration. Idempotent; returns what it
    did, a line each.

    `replication` -1 takes the broker's default. Partitions are never removed. Raises KafkaError.
    """
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, **security.options())
    async with explained(bootstrap, security):
        try:
            await admin.start()
            return await _apply(admin, prefix, topics, replication)
        finally:
            await admin.close()


async def _apply(
    admin: AIOKafkaAdminClient, prefix: str, topics: Sequence[Topic], replication: int
) -> list[str]:
    names = [prefix + topic.name for topic in topics]
    present = {
        topic["topic"]: len(topic["partitions"])
        for topic in await admin.describe_topics(names)
        if topic["error_code"] == 0
    }
    missing = [topic for topic in topics if prefix + topic.name not in present]
    done = await _create(admin, prefix, missing, replication)
    done += await _grow(admin, prefix, topics, present)
    await _configure(admin, prefix, topics)
    return done


async def _create(
    admin: AIOKafkaAdminClient, prefix: str, topics: Sequence[Topic], replication: int
) -> list[str]:
    if not topics:
        return []
    # With the broker's default the client insists on assignments, which may be empty.
    assignments: dict[int, list[int]] | None = {} if replication == -1 else None
    answer = await admin.create_topics(
        [
            NewTopic(prefix + t.name, t.partitions, replication, assignments, t.configuration)
            for t in topics
        ]
    )
    for name, code, *rest in answer.topic_errors:
        if for_code(code) is not TopicAlreadyExistsError:
            _raise_for(code, name, rest[0] if rest else "")
    return [f"{prefix}{topic.name}: created, {topic.partitions} partitions" for topic in topics]


async def _grow(
    admin: AIOKafkaAdminClient, prefix: str, topics: Sequence[Topic], present: Mapping[str, int]
) -> list[str]:
    growing, done = {}, []
    for topic in topics:
        name, partitions = prefix + topic.name, topic.partitions
        if (had := present.get(name, partitions)) < partitions:
            growing[name] = NewPartitions(partitions)
            done.append(f"{name}: {had} -> {partitions} partitions")
    if growing:
        await admin.create_partitions(growing)
    return done


async def _configure(admin: AIOKafkaAdminClient, prefix: str, topics: Sequence[Topic]) -> None:
    kind = ConfigResourceType.TOPIC
    [answer] = await admin.alter_configs(
        [ConfigResource(kind, prefix + t.name, configs=t.configuration) for t in topics]
    )
    for code, message, _, name in answer.resources:
        _raise_for(code, name, message)


def _raise_for(code: int, topic: str, message: str | None) -> None:
    """Raise what an error code stands for; 0 is none."""
    if code:
        error = for_code(code)
        raise error(topic if error is TopicAuthorizationFailedError else f"{topic}: {message}")
