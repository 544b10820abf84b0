"""A console that is notified of commits as in service."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from services.reporting.app import build_app
from services.reporting.console.live import Live
from services.reporting.timeline.store.incidents import CHANNEL
from shared.postgres.database import Database
from shared.postgres.wake import Wake
from shared.runtime.clock import system_clock
from tests.support.http import served


@pytest.fixture
async def console(reporting: Database) -> AsyncIterator[str]:
    """The address of a console that hears of commits as it does in service."""
    stop = asyncio.Event()
    wake = Wake(reporting.dsn, "reporting")
    live = Live(wake.subscribe(CHANNEL), stop, max_of_client=2, max_readers=3)
    tasks = [asyncio.create_task(component.run()) for component in (wake, live)]
    async with served(
        build_app(reporting, system_clock, live, "http://traces/{trace_id}")
    ) as address:
        yield address
        stop.set()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
