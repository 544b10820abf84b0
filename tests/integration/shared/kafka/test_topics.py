"""Topics are made on purpose, with their shape, and never by accident."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError
from typer.testing import CliRunner

from shared.kafka.provisioning import apply_topics
from shared.kafka.topics import TOPICS, Topic
from shared.runtime.cli import app


async def test_topics_are_made_once_and_grow(kafka: str, topic_prefix: str) -> None:
    small, grown = (Topic("tocsin.a.v1", partitions=1), Topic("tocsin.a.v1", partitions=3))
    compacted = Topic("tocsin.b.v1", partitions=1, retention=None)
    assert len(await apply_topics(kafka, topic_prefix, [small, compacted])) == 2
    assert await apply_topics(kafka, topic_prefix, [small, compacted]) == []
    assert await apply_topics(kafka, topic_prefix, [grown]) == [
        f"{topic_prefix}tocsin.a.v1: 1 -> 3 partitions"
    ]
    assert await apply_topics(kafka, topic_prefix, [small]) == [], "partitions are never taken away"
    assert (await configuration(kafka, topic_prefix + "tocsin.b.v1"))["cleanup.policy"] == "compact"


async def test_a_topics_retention_is_set_again(kafka: str, topic_prefix: str) -> None:
    name = topic_prefix + "tocsin.a.v1"
    await apply_topics(kafka, topic_prefix, [Topic("tocsin.a.v1", partitions=1)])
    short = [Topic("tocsin.a.v1", partitions=1, retention=timedelta(hours=1))]
    assert await apply_topics(kafka, topic_prefix, short) == [
        f"{name}: retention.ms 2592000000 -> 3600000"
    ]
    assert (await configuration(kafka, name))["retention.ms"] == "3600000"
    assert await apply_topics(kafka, topic_prefix, short) == []


async def test_the_command_sets_the_retention_that_the_policy_has(
    kafka: str, topic_prefix: str, tmp_path: Path
) -> None:
    environment = {
        "TOCSIN_KAFKA": kafka,
        "TOCSIN_TOPIC_PREFIX": topic_prefix,
        "TOCSIN_POLICY_DIR": str(tmp_path),
    }

    async def applied() -> str:
        words = ["topics", "apply", "--replication", "1"]
        done = await asyncio.to_thread(CliRunner().invoke, app, words, env=environment)
        assert done.exit_code == 0, done.output
        return done.stdout

    assert (await applied()).count(": created") == len(TOPICS)
    (tmp_path / "retention.yaml").write_text("topics: {tocsin.signals.v1: 3d}")
    assert await applied() == (
        f"{topic_prefix}tocsin.signals.v1: retention.ms 604800000 -> 259200000\n"
    )


async def test_a_message_to_a_topic_that_nobody_made_is_refused(
    kafka: str, topic_prefix: str
) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=kafka, request_timeout_ms=1000)
    await producer.start()
    try:
        with pytest.raises(KafkaError):
            await producer.send_and_wait(topic_prefix + "tocsin.typo.v1", b"x")
    finally:
        await producer.stop()


def test_every_topic_of_the_contract_is_declared_once() -> None:
    names = [topic.name for topic in TOPICS]
    assert len(set(names)) == len(names)
    assert [topic.name for topic in TOPICS if topic.retention is None] == ["tocsin.incidents.v1"]


async def configuration(kafka: str, name: str) -> dict[str, str]:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        (answer,) = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)])
        return {entry[0]: entry[1] for entry in answer.resources[0][4]}
    finally:
        await admin.close()
