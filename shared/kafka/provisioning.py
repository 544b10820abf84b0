"""Makes the topics of a cluster what they are declared to be."""

from collections.abc import Mapping, Sequence

from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import TopicAlreadyExistsError, TopicAuthorizationFailedError, for_code

from shared.kafka.diagnosis import explained
from shared.kafka.security import PLAINTEXT, Security
from shared.kafka.topics import TOPICS, Topic

_TOPIC = ConfigResourceType.TOPIC


async def apply_topics(
    bootstrap: str,
    prefix: str = "",
    topics: Sequence[Topic] = TOPICS,
    replication: int = -1,
    *,
    security: Security = PLAINTEXT,
) -> list[str]:
    """Create missing topics, add partitions, correct the configuration. Idempotent; returns what it
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
    done += await _configure(admin, prefix, [t for t in topics if prefix + t.name in present])
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


async def _configure(admin: AIOKafkaAdminClient, prefix: str, topics: Sequence[Topic]) -> list[str]:
    found = await load_configurations(admin, [prefix + topic.name for topic in topics])
    wrong, done = [], []
    for topic in topics:
        name = prefix + topic.name
        changed = [
            f"{name}: {key} {found[name].get(key)} -> {value}"
            for key, value in topic.configuration.items()
            if found[name].get(key) != value
        ]
        if changed:
            wrong.append(ConfigResource(_TOPIC, name, configs=topic.configuration))
            done += changed
    for answer in await admin.alter_configs(wrong) if wrong else ():
        for code, message, _, name in answer.resources:
            _raise_for(code, name, message)
    return done


async def load_configurations(
    admin: AIOKafkaAdminClient, names: Sequence[str]
) -> dict[str, dict[str, str]]:
    """The configuration of topics that exist, by their names. Raises KafkaError."""
    if not names:
        return {}
    answers = await admin.describe_configs([ConfigResource(_TOPIC, name) for name in names])
    return {
        resource[3]: {entry[0]: entry[1] for entry in resource[4]}
        for answer in answers
        for resource in answer.resources
    }


def _raise_for(code: int, topic: str, message: str | None) -> None:
    """Raise what an error code stands for; 0 is none."""
    if code:
        error = for_code(code)
        raise error(topic if error is TopicAuthorizationFailedError else f"{topic}: {message}")
