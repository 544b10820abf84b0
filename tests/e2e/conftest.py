"""Fixtures of tests with a whole Tocsin: people, other systems, telemetry."""

from collections.abc import AsyncIterator

import pytest
from aiokafka import AIOKafkaProducer

from tests.support.otlp import Backend, backend
from tests.support.running import Receiver
from tests.support.tracing import Publisher


@pytest.fixture
async def pages() -> AsyncIterator[Receiver]:
    """The receiver of all pages."""
    async with Receiver().listening() as receiver:
        yield receiver


@pytest.fixture
async def telemetry() -> AsyncIterator[Backend]:
    """The backend for spans and metrics."""
    async with backend() as listening:
        yield listening


@pytest.fixture
async def publisher(kafka: str, topic_prefix: str) -> AsyncIterator[Publisher]:
    """Another system that publishes signals to the topic."""
    producer = AIOKafkaProducer(bootstrap_servers=kafka)
    await producer.start()
    try:
        yield Publisher(producer, topic_prefix)
    finally:
        await producer.stop()
