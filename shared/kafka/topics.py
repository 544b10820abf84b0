"""The topics, declared once and made on purpose (`tocsin topics apply`), never by a first message."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import TopicAlreadyExistsError, for_code

from shared.events import commands, escalation, intake, rejections, reporting, triage

SIGNALS = "tocsin.signals.v1"
REDRIVE = "tocsin.redrive.v1"


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic's shape. Compacted ones keep the newest record a key and have no retention time."""

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
    Topic(REDRIVE, partitions=1),
)


async def apply_topics(
    bootstrap: str, prefix: str = "", topics: Sequence[Topic] = TOPICS, replication: int = -1
) -> list[str]:
    """Make what is missing, add partitions, set the configuration. Idempotent; returns what it did,
    in words.

    `replication` -1 takes the broker's default. Partitions are never taken away. Raises KafkaError.
    """
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        present = {
            topic["topic"]: len(topic["partitions"])
            for topic in await admin.describe_topics([prefix + topic.name for topic in topics])
            if topic["error_code"] == 0
        }
        done = [
            *await _create(
                admin, prefix, [t for t in topics if prefix + t.name not in present], replication
            )
        ]
        grow = {
            t: present[prefix + t.name]
            for t in topics
            if present.get(prefix + t.name, t.partitions) < t.partitions
        }
        if grow:
            await admin.create_partitions(
                {prefix + topic.name: NewPartitions(topic.partitions) for topic in grow}
            )
            done += [
                f"{prefix}{topic.name}: {had} -> {topic.partitions} partitions"
                for topic, had in grow.items()
            ]
        await admin.alter_configs(
            [
                ConfigResource(ConfigResourceType.TOPIC, prefix + t.name, configs=t.configuration)
                for t in topics
            ]
        )
        return done
    finally:
        await admin.close()


async def _create(
    admin: AIOKafkaAdminClient, prefix: str, topics: Sequence[Topic], replication: int
) -> list[str]:
    if not topics:
        return []
    # For its default the client wants assignments to be given, if only none of them.
    assignments: dict[int, list[int]] | None = {} if replication == -1 else None
    answer = await admin.create_topics(
        [
            NewTopic(prefix + t.name, t.partitions, replication, assignments, t.configuration)
            for t in topics
        ]
    )
    for name, code, *rest in answer.topic_errors:
        if code and for_code(code) is not TopicAlreadyExistsError:
            raise for_code(code)(f"{name}: {rest[0] if rest else ''}")
    return [f"{prefix}{topic.name}: made, {topic.partitions} partitions" for topic in topics]
