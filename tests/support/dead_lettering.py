"""Dead letters as operators get at them: by the topic, and by `tocsin dead-letters`."""

import asyncio
from collections.abc import Callable
from typing import Any

from aiokafka import AIOKafkaProducer
from typer.testing import CliRunner

from shared.events.message import OutboxMessage
from shared.kafka.dead_letters.cli import app
from shared.kafka.dead_letters.reading import DeadLetter, read_dead_letters
from tests.support.running import eventually

Tocsin = Callable[..., Any]
"""Runs `tocsin dead-letters ...`; see the fixture `tocsin`."""


def command(kafka: str, prefix: str) -> Tocsin:
    """`tocsin dead-letters ...`; returns what it prints, fails unless it ends with `status`."""

    async def run(*arguments: str, status: int = 0) -> str:
        environment = {"TOCSIN_KAFKA": kafka, "TOCSIN_TOPIC_PREFIX": prefix}
        done = await asyncio.to_thread(CliRunner().invoke, app, arguments, env=environment)
        assert done.exit_code == status, (done.output, done.exception)
        return done.output

    return run


async def dead_letters(kafka: str, prefix: str, count: int = 1) -> list[DeadLetter]:
    """The dead letters, once there are so many."""

    async def enough() -> list[DeadLetter]:
        found = await read_dead_letters(kafka, prefix, lambda: None)
        return found if len(found) >= count else []

    found: list[DeadLetter] = await eventually(f"{count} dead letters", enough)
    return found


async def write_down(kafka: str, prefix: str, *messages: OutboxMessage) -> None:
    """Put messages on their topics."""
    async with AIOKafkaProducer(bootstrap_servers=kafka) as producer:
        for message in messages:
            await producer.send_and_wait(prefix + message.topic, message.value, key=message.key)
