"""PostgreSQL that is restarted or killed, and connections that are cut in the middle of a
transaction.
"""

import asyncio
import random
import signal

import asyncpg
import pytest

from tests.faults.world import World
from tests.support.running import Truth, eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")
_SERVICES = "datname = current_database() AND pid <> pg_backend_pid() AND usename LIKE 'tocsin%'"
_CUT_ALL = f"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE {_SERVICES}"
_CUT_BUSY = _CUT_ALL + " AND xact_start IS NOT NULL"


async def test_a_database_server_that_is_restarted_or_killed_loses_nothing(world: World) -> None:
    async with world.load("database restarted"):
        for number in (signal.SIGINT, signal.SIGKILL) * (3 if world.long else 1):
            await world.stack.renewed("postgres", world.stack.send("postgres", number))
            await world.stack.ready()


async def test_connections_that_are_cut_in_a_transaction_lose_nothing(world: World) -> None:
    dice = random.Random(20260303)  # noqa: S311 - the same moments every time
    admin = await asyncpg.connect(world.stack.postgres.dsn())
    cut = 0

    async def some_are_busy() -> Truth:
        nonlocal cut
        number = await admin.fetchval(_CUT_BUSY)
        cut += number
        return Truth(number > 0, f"{number} cut")

    async with world.load("cut"):
        for _ in range(100 if world.long else 8):
            await asyncio.sleep(dice.uniform(0.05, 0.3))
            await eventually("a transaction is cut", some_are_busy)
            if dice.random() < 0.3:
                await admin.execute(_CUT_ALL)
    print(f"{cut} transactions were cut")
    await admin.close()
