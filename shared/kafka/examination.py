"""What Kafka says about its topics."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from shared.kafka.diagnosis import explained
from shared.kafka.provisioning import load_configurations
from shared.kafka.security import Security
from shared.kafka.topics import Topic


@dataclass(frozen=True, slots=True)
class TopicState:
    """A topic that exists. `configuration` has the values of what its declaration configures;
    `lagging` are partitions with fewer replicas in sync than there are, `leaderless` those that
    cannot be used; `ends` and `beginnings` are offsets by partition.
    """

    partitions: int
    configuration: Mapping[str, str]
    lagging: Sequence[int]
    leaderless: Sequence[int]
    beginnings: Mapping[int, int]
    ends: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class KafkaState:
    """`brokers` are their hosts and ports, as they tell clients. `topics` are by name without
    prefix; one that is missing is absent.
    """

    brokers: Sequence[tuple[str, int]]
    topics: Mapping[str, TopicState]


async def load_kafka_state(
    bootstrap: str, prefix: str, topics: Sequence[Topic], security: Security
) -> KafkaState:
    """Ask the brokers. Raises KafkaError."""
    async with explained(bootstrap, security):
        return await _load(bootstrap, prefix, topics, security)


async def _load(
    bootstrap: str, prefix: str, topics: Sequence[Topic], security: Security
) -> KafkaState:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, **security.options())
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, **security.options())
    try:
        await admin.start()
        await consumer.start()
        cluster = await admin.describe_cluster()
        described = await admin.describe_topics([prefix + topic.name for topic in topics])
        present = {one["topic"]: one["partitions"] for one in described if not one["error_code"]}
        configurations = await load_configurations(admin, list(present))
        found = {
            name.removeprefix(prefix): await _topic(consumer, name, parts, configurations[name])
            for name, parts in present.items()
        }
        brokers = [(str(one["host"]), int(one["port"])) for one in cluster["brokers"]]
        return KafkaState(brokers, found)
    finally:
        await consumer.stop()
        await admin.close()


async def _topic(
    consumer: AIOKafkaConsumer,
    name: str,
    partitions: Sequence[Mapping[str, object]],
    configuration: Mapping[str, str],
) -> TopicState:
    leaderless = [number(one) for one in partitions if one["leader"] == -1]
    led = [TopicPartition(name, number(one)) for one in partitions if one["leader"] != -1]
    beginnings, ends = await consumer.beginning_offsets(led), await consumer.end_offsets(led)
    return TopicState(
        partitions=len(partitions),
        configuration=configuration,
        lagging=[number(one) for one in partitions if count(one, "isr") < count(one, "replicas")],
        leaderless=leaderless,
        beginnings={handle.partition: offset for handle, offset in beginnings.items()},
        ends={handle.partition: offset for handle, offset in ends.items()},
    )


def number(partition: Mapping[str, object]) -> int:
    """Of a partition."""
    return int(str(partition["partition"]))


def count(partition: Mapping[str, object], what: str) -> int:
    """How many replicas a partition has of a kind."""
    replicas = partition[what]
    return len(replicas) if isinstance(replicas, list) else 0
