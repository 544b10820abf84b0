"""Reporting asked with hostile words: an answer that says so, never an error of the server."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest
from yarl import URL

from services.reporting.app import build_app
from services.reporting.console.live import Live
from shared.postgres.database import Database
from shared.runtime.clock import system_clock
from tests.support.http import served
from tests.support.stack import runtime_dsn


@pytest.fixture
async def base(database: str) -> AsyncIterator[str]:
    own = Database(runtime_dsn(database, "reporting"))
    async with served(
        build_app(own, system_clock, Live(asyncio.Event(), asyncio.Event()), None)
    ) as address:
        yield address
    await own.close()


@pytest.mark.parametrize(
    "path",
    [
        "/?team=%00",
        "/v1/incidents?team=%00",
        "/v1/incidents?team=%ED%A0%80",
        "/v1/incidents?before=999999999999999999",
        "/v1/incidents/%00",
        "/v1/incidents/INC-999999999999999999",
        "/incidents/%00",
        "/v1/metrics?days=99999999999999999999",
        "/static/%00",
        "/static/..%2F..%2Fapp.py",
    ],
)
async def test_hostile_words_are_answered(base: str, path: str) -> None:
    async with aiohttp.ClientSession() as http, http.get(URL(base + path, encoded=True)) as answer:
        assert answer.status < 500, await answer.text()
