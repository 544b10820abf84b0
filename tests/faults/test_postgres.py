"""PostgreSQL is restarted or killed, and connections are closed in the middle of a transaction."""

import asyncio
import random
import signal

import asyncpg
import pytest

from tests.faults.world import World
from tests.support.running import Truth, eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")
_SERVICES = "datname = current_database() AND pid <> pg_backend_pid() AND usename LIKE 'tocsin%'"
_CLOSE_ALL = f"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE {_SERVICES}"
_CLOSE_BUSY = _CLOSE_ALL + " AND xact_start IS NOT NULL"


async def test_a_database_server_that_is_restarted_or_killed_loses_nothing(world: World) -> None:
    async with world.load("database restarted"):
        for number in (signal.SIGINT, signal.SIGKILL) * (3 if world.long else 1):
            await world.stack.renewed("postgres", world.stack.send("postgres", number))
            await world.stack.ready()


async def test_connections_closed_in_a_transaction_lose_nothing(world: World) -> None:
    dice = random.Random(20260303)  # noqa: S311 - the same times in every run
    admin = await asyncpg.connect(world.stack.postgres.dsn())
    closed = 0

    async def some_are_busy() -> Truth:
        nonlocal closed
        number = await admin.fetchval(_CLOSE_BUSY)
        closed += number
        return Truth(number > 0, f"{number} closed")

    async with world.load("connections closed"):
        for _ in range(100 if world.long else 8):
            await asyncio.sleep(dice.uniform(0.05, 0.3))
            await eventually("a transaction is interrupted", some_are_busy)
            if dice.random() < 0.3:
                await admin.execute(_CLOSE_ALL)
    print(f"{closed} transactions were interrupted")
    await admin.close()
