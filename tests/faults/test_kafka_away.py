"""Intake takes signals by HTTP whether Kafka is there or not; a log that it cannot follow makes it not ready."""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import orjson
import pytest
from aiokafka import AIOKafkaProducer

from deploy.local import jars, ports
from deploy.local.kafka import Kafka
from deploy.local.paths import JARS
from shared.events import intake
from shared.topics import SIGNALS, TOPICS, apply_topics
from tests.support.reading import reading
from tests.support.running import Running, Truth, alert, eventually, prepared


class Broker:
    """A Kafka of the test's own, which it may stop and start."""

    def __init__(self, folder: Path) -> None:
        self._kafka = Kafka(jars.fetch(JARS), folder / "kafka", folder / "kafka.log", *ports.choose(2))
        self.bootstrap = self._kafka.bootstrap
        # One thread for all: the broker ends with the thread that started it.
        self._thread = ThreadPoolExecutor(1)

    async def start(self) -> None:
        await self._run(self._kafka.start)

    async def stop(self) -> None:
        await self._run(self._kafka.stop)

    async def _run(self, step: Callable[[], Any]) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, step)


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Broker]:
    """Not started."""
    broker = Broker(tmp_path)
    yield broker
    await broker.stop()


@pytest.fixture
async def tocsin(broker: Broker, database: str, tmp_path: Path) -> AsyncIterator[Running]:
    """Set up for the test's own broker; nothing runs."""
    async with prepared(broker.bootstrap, database, "", tmp_path, {}) as stack:
        yield stack


async def arrive(broker: Broker, *subjects: str) -> None:
    """Wait until intake's topic tells of these incidents, and of no others."""
    async with reading(broker.bootstrap, intake.TOPIC) as reader:
        await reader.until("intake tells", lambda records: {r.key.decode() for r in records if r.key} == {*subjects})


async def take(tocsin: Running, name: str) -> str:
    """Send a signal by HTTP, which must be accepted, by a service that is ready; returns the incident."""
    await tocsin.ready("intake")
    answer = await tocsin.signals(alert(name))
    await tocsin.ready("intake")
    return str(answer["signals"][0]["subject"])


async def test_intake_needs_no_kafka_to_take_signals_and_delivers_when_it_comes(
    broker: Broker, tocsin: Running, database: str
) -> None:
    await tocsin.start("intake")
    first = await take(tocsin, "Kafka was never there")
    await broker.start()
    await apply_topics(broker.bootstrap, "", TOPICS)
    await arrive(broker, first)

    await broker.stop()
    second = await take(tocsin, "Kafka has gone")
    await broker.start()
    await arrive(broker, first, second)

    connection = await asyncpg.connect(database)

    async def kept() -> Truth:
        origins = [row["origin"] for row in await connection.fetch("SELECT origin FROM intake.signals")]
        return Truth("topic /probe" in origins, str(origins))

    async with AIOKafkaProducer(bootstrap_servers=broker.bootstrap) as producer:
        await producer.send_and_wait(SIGNALS, orjson.dumps(alert("by topic")))
    await eventually("intake reads its topic again", kept, 60)
    await connection.close()


async def test_intake_is_not_ready_when_it_cannot_follow_a_log(
    kafka: str, database: str, topic_prefix: str, tmp_path: Path
) -> None:
    await apply_topics(kafka, topic_prefix, TOPICS)
    connection = await asyncpg.connect(database)
    row = (SIGNALS, 0, 1000)
    await connection.execute('INSERT INTO intake.offsets (topic, "partition", next_offset) VALUES ($1, $2, $3)', *row)
    await connection.close()
    async with prepared(kafka, database, topic_prefix, tmp_path, {}) as tocsin:
        await tocsin.start("intake")

        async def refused() -> Truth:
            try:
                async with tocsin.http.get(tocsin.url("intake", "/readyz")) as answer:
                    text = await answer.text()
                    return Truth(answer.status == 503 and f"{SIGNALS}/0" in text, text)
            except aiohttp.ClientError as error:
                return Truth(False, repr(error))

        await eventually("not ready, with the partition's name", refused)
        await tocsin.signals(alert("its HTTP side goes on"))
