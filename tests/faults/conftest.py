"""A whole Tocsin with short waits, and a storm that goes over it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from shared.topics import SIGNALS
from tests.faults.storm import Storm
from tests.support.policies import policy_files
from tests.support.running import Receiver, Running, running


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver().listening() as receiver:
        yield receiver


@pytest.fixture
async def tocsin(
    kafka: str, database: str, topic_prefix: str, tmp_path: Path, receiver: Receiver
) -> AsyncIterator[Running]:
    steps = '{targets: ["user:anastasia"], wait: 3s}', '{targets: ["user:anastasia", "user:benedict"], wait: 1h}'
    policy = policy_files(receiver.url, *steps, rounds=1, update_interval="1s")
    async with running(kafka, database, topic_prefix, tmp_path, policy, TOCSIN_WEBHOOK_TIMEOUT="1") as stack:
        yield stack


@pytest.fixture
async def storm(tocsin: Running, kafka: str, topic_prefix: str, receiver: Receiver) -> AsyncIterator[Storm]:
    async with AIOKafkaProducer(bootstrap_servers=kafka, enable_idempotence=True, linger_ms=0) as producer:
        storm = Storm(tocsin, producer, topic_prefix + SIGNALS)
        receiver.answer = storm.page
        responder = asyncio.create_task(storm.take_some())
        yield storm
        responder.cancel()
        with suppress(asyncio.CancelledError):
            await responder
