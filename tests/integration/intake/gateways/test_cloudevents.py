"""Events that the reference library of CloudEvents writes to a real Kafka, and what is none."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime

from aiokafka import AIOKafkaProducer
from cloudevents.core.bindings import kafka as binding
from cloudevents.core.bindings.kafka import KafkaMessage
from cloudevents.core.v1.event import CloudEvent

from shared.kafka.consumption import Consumption
from shared.kafka.security import Cluster
from shared.kafka.topics import SIGNALS
from tests.integration.intake.conftest import World
from tests.support.consuming import make_topic
from tests.support.running import eventually

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def event(signal_id: str, **attributes: str) -> CloudEvent:
    described = {"id": signal_id, "type": "tocsin.signals.Alert", "source": "/werkstatt/düsseldorf"}
    data = {"summary": "disk full – db-3", "key": "db-3"}
    return CloudEvent(described | {"time": NOON} | attributes, data)


async def test_records_in_either_mode_are_taken_and_others_rejected_by_name(
    world: World, kafka: str, topic_prefix: str
) -> None:
    topic = f"{topic_prefix}{SIGNALS}"
    await make_topic(kafka, topic)
    structured = binding.to_structured_event(event("structured", partitionkey="db-3"))
    binary = binding.to_binary_event(event("binary", partitionkey="db-3"))
    unknown = binding.to_binary_event(event("unknown", type="com.example.Unknown"))
    odd = [(None, b"no JSON", []), (b"k", b"{}", [("ce_specversion", b"1.0"), ("ce_id", b"\xff")])]
    async with AIOKafkaProducer(bootstrap_servers=kafka) as producer:
        for message in (structured, binary, unknown):
            await producer.send_and_wait(
                topic, message.value, key=key_of(message), headers=list(message.headers.items())
            )
        for key, value, headers in odd:
            await producer.send_and_wait(topic, value, key=key, headers=headers)
    consumption = Consumption(
        world.database,
        Cluster(kafka, topic_prefix),
        group="intake",
        handlers={SIGNALS: world.handlers.on_signals},
        clock=lambda: NOON,
    )
    task = asyncio.create_task(consumption.run())
    try:

        async def all_read() -> bool:
            return len(await rejections(world)) == 3

        await eventually("all records are read", all_read)
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    signals = await world.rows("SELECT origin, signal_id FROM signals ORDER BY signal_id")
    assert [tuple(row.values()) for row in signals] == [
        ("topic /werkstatt/düsseldorf", "binary"),
        ("topic /werkstatt/düsseldorf", "structured"),
    ]
    assert await rejections(world) == ["type", "value", "ce_id"]


def key_of(message: KafkaMessage) -> bytes | None:
    return message.key.encode() if isinstance(message.key, str) else message.key


async def rejections(world: World) -> list[str]:
    """The fields at fault, in the order of their records."""
    return [
        sent["data"]["field"] for kind, sent in await world.outbox() if kind == "SignalRejected"
    ]
