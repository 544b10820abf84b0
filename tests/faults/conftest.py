"""A whole Tocsin with short waits, under a steady load of signals.

`--long` injects every fault many times; without it each is injected once or twice, in the tests of
every change.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer

from shared.kafka.topics import SIGNALS
from tests.faults.storm import Storm
from tests.faults.supervised import supervised
from tests.faults.world import World
from tests.support.running import Receiver


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="inject each fault many times")


@pytest.fixture(scope="session")
def long(request: pytest.FixtureRequest) -> bool:
    """Whether each fault is injected many times."""
    return bool(request.config.getoption("--long", default=False))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def world(long: bool, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """One supervised stack for all faults of processes and servers."""
    async with (
        Receiver().listening() as receiver,
        supervised(tmp_path_factory.mktemp("supervised"), receiver) as stack,
        # Waits longer for an absent broker than any test keeps it away.
        AIOKafkaProducer(
            bootstrap_servers=stack.kafka.bootstrap, linger_ms=0, request_timeout_ms=150_000
        ) as producer,
        responding(Storm(stack.tocsin, producer, SIGNALS), receiver) as storm,
    ):
        yield World(stack, storm, receiver, long)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver().listening() as receiver:
        yield receiver


@asynccontextmanager
async def responding(storm: Storm, receiver: Receiver) -> AsyncIterator[Storm]:
    """A responder who acknowledges some of the pages inside the block."""
    receiver.answer = storm.page
    responder = asyncio.create_task(storm.respond())
    yield storm
    responder.cancel()
    with suppress(asyncio.CancelledError):
        await responder
