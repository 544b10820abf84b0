"""`--wait`: commands that a scheduler starts may run before the servers that they need."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import typer
from aiokafka.errors import KafkaError

from shared.postgres.errors import UNAVAILABLE
from shared.runtime.backoff import Backoff

T = TypeVar("T")

Wait = Annotated[
    float,
    typer.Option(
        min=0, metavar="SECONDS", help="How long to wait for a server that is not there yet."
    ),
]


async def with_patience(seconds: float, work: Callable[[], Awaitable[T]]) -> T:
    """What `work` returns, tried again for so long while Kafka or Postgres is not there. Raises its
    last error.
    """
    loop, backoff = asyncio.get_running_loop(), Backoff()
    deadline = loop.time() + seconds
    while True:
        try:
            return await work()
        except (KafkaError, *UNAVAILABLE):
            pause = backoff.seconds()
            if loop.time() + pause > deadline:
                raise
            await asyncio.sleep(pause)
