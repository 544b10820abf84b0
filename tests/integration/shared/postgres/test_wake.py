"""A notification arrives at once, and a lost connection is not a lost notification."""

import asyncio
import uuid
from collections.abc import AsyncIterator

import asyncpg
import pytest

from shared.postgres.wake import Wake
from tests.support.running import eventually
from tests.support.stack import drop_database, on_database, runtime_dsn


@pytest.fixture
async def admin(database: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    connection = await asyncpg.connect(database)
    yield connection
    await connection.close()


async def _terminate(admin: "asyncpg.Connection[asyncpg.Record]") -> None:
    assert await admin.fetch(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND application_name = 'triage wake'"
    )


async def test_only_the_notified_channel_is_woken_and_everybody_after_a_lost_connection(
    database: str, admin: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    wake = Wake(runtime_dsn(database, "triage"), "triage")
    timers, board, second = (
        wake.subscribe("timers"),
        wake.subscribe("board"),
        wake.subscribe("timers"),
    )
    assert wake.problems() == ["not listening for notifications"]
    running = asyncio.create_task(wake.run())
    try:
        await asyncio.gather(timers.wait(), board.wait(), second.wait())
        assert wake.problems() == []
        for event in (timers, board, second):
            event.clear()

        await admin.execute("SELECT pg_notify('intake.timers', ''), pg_notify('triage.timers', '')")
        await asyncio.gather(timers.wait(), second.wait())
        assert not board.is_set()

        timers.clear()
        await _terminate(admin)
        await asyncio.gather(timers.wait(), board.wait())
        assert wake.problems() == []

        timers.clear()
        await admin.execute("SELECT pg_notify('triage.timers', '')")
        await timers.wait()
    finally:
        running.cancel()


async def test_it_waits_for_a_database_that_is_not_there_yet(
    postgres: str, template: str, caplog: pytest.LogCaptureFixture
) -> None:
    name = f"test_{uuid.uuid4().hex[:12]}"
    wake = Wake(runtime_dsn(on_database(postgres, name), "triage"), "triage")
    woken = wake.subscribe("timers")
    running = asyncio.create_task(wake.run())
    try:
        await eventually(
            "refused", lambda: asyncio.sleep(0, "not listening for notifications" in caplog.text)
        )
        connection = await asyncpg.connect(postgres)
        await connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        await connection.close()
        await woken.wait()
        assert wake.problems() == []
    finally:
        running.cancel()
        await drop_database(postgres, name)
