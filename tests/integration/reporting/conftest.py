"""Who uses reporting from outside: a program that asks its API, and a superuser."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import asyncpg
import pytest

from services.reporting.app import build_app
from services.reporting.console.live import Live
from shared.postgres.database import Database
from tests.support.http import served
from tests.support.reading import ApiReader


@pytest.fixture
async def reader(reporting: Database) -> AsyncIterator[ApiReader]:
    """Reporting's API, at a time of the test's choosing."""
    async with aiohttp.ClientSession() as session:
        asking = ApiReader(session)
        live = Live(asyncio.Event(), asyncio.Event(), 9)
        app = build_app(reporting, lambda: asking.now, live, "http://traces/trace/{trace_id}")
        async with served(app) as asking.address:
            yield asking


@pytest.fixture
async def superuser(database: str) -> AsyncIterator["asyncpg.Connection[Any]"]:
    """Somebody with all rights on reporting's schema."""
    connection = await asyncpg.connect(database, server_settings={"search_path": "reporting"})
    yield connection
    await connection.close()
