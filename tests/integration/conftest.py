"""Fixtures that several integration tests use."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from shared.postgres.database import Database
from tests.support.browser import Browser, chromium, tab
from tests.support.consuming import Diary, open_diary
from tests.support.escalating import Receiver, receiver, recorded_spans
from tests.support.feeding import Feed
from tests.support.stack import runtime_dsn


@pytest.fixture
async def intake(database: str) -> AsyncIterator[Database]:
    """The database with intake's runtime role."""
    async with opened(database, "intake") as own:
        yield own


@pytest.fixture
async def reporting(database: str) -> AsyncIterator[Database]:
    """The database with reporting's runtime role."""
    async with opened(database, "reporting") as own:
        yield own


@asynccontextmanager
async def opened(database: str, service: str) -> AsyncIterator[Database]:
    own = Database(runtime_dsn(database, service))
    try:
        yield own
    finally:
        await own.close()


@pytest.fixture
async def feed(reporting: Database) -> Feed:
    """Feeds records to reporting."""
    return Feed(reporting)


@pytest.fixture
async def diary(database: str) -> AsyncIterator[Diary]:
    """A service that records its effects in a database of its own."""
    async with open_diary(database) as diary:
        yield diary


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    """The spans of this process."""
    with recorded_spans() as exporter:
        yield exporter


@pytest.fixture
async def webhooks() -> AsyncIterator[Receiver]:
    """The receiver of pages."""
    async with receiver() as listening:
        yield listening


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """An HTTP client."""
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture(scope="module")
def devtools() -> Iterator[str]:
    """A running browser."""
    with chromium() as address:
        yield address


@pytest.fixture
async def browser(devtools: str) -> AsyncIterator[Browser]:
    """A new tab."""
    async with tab(devtools) as opened:
        yield opened
