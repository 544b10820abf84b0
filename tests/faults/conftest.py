"""A whole Tocsin with short waits, and a storm that goes over it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from shared.topics import SIGNALS
from tests.faults.storm import Storm
from tests.support.running import Receiver, Running, running

CATALOGUE = """
default_team: payments
services:
  checkout: {team: payments, tier: 1}
  search: {team: payments, tier: 3}
"""
TEAMS = """
default_policy: payments
users:
  ana: {name: Ana, email: ana@example.com, webhook: "URL/ana", methods: [webhook]}
  ben: {name: Ben, email: ben@example.com, webhook: "URL/ben", methods: [webhook]}
teams:
  payments: {policy: payments}
policies:
  payments:
    rounds: 1
    steps:
      - {targets: ["user:ana"], wait: 3s}
      - {targets: ["user:ana", "user:ben"], wait: 1h}
"""
INTAKE = "update_interval: 1s\n"


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver().listening() as receiver:
        yield receiver


@pytest.fixture
async def tocsin(
    kafka: str, database: str, topic_prefix: str, tmp_path: Path, receiver: Receiver
) -> AsyncIterator[Running]:
    policy = {"catalogue.yaml": CATALOGUE, "teams.yaml": TEAMS.replace("URL", receiver.url), "intake.yaml": INTAKE}
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
