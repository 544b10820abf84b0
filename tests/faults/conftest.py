"""A whole Tocsin with short waits, and a storm that goes over it.

`--long` has every fault many times over; without it each comes once or twice, as part of the tests
of every change.
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
    parser.addoption("--long", action="store_true", help="faults many times over")


@pytest.fixture(scope="session")
def long(request: pytest.FixtureRequest) -> bool:
    """Whether there is time for many of each."""
    return bool(request.config.getoption("--long", default=False))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def world(long: bool, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """One stack under its supervisor for all faults of processes and servers."""
    async with (
        Receiver().listening() as receiver,
        supervised(tmp_path_factory.mktemp("supervised"), receiver) as stack,
        # It waits for a broker that is away for as long as any test keeps it so.
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
    """The responder takes some of what comes."""
    receiver.answer = storm.page
    responder = asyncio.create_task(storm.take_some())
    yield storm
    responder.cancel()
    with suppress(asyncio.CancelledError):
        await responder
