"""A database that was put back hands out sequences above all that it ever handed out."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from shared.events.facts import next_sequence
from shared.postgres.database import Database
from shared.postgres.installation import check_identity, load_epoch, raise_epoch
from tests.support.stack import clone_database, drop_database, name_of, runtime_dsn


@pytest.fixture
async def connection(database: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    connection = await asyncpg.connect(runtime_dsn(database, "intake"))
    yield connection
    await connection.close()


async def test_the_first_sight_of_a_database_is_remembered_and_raises_nothing(
    connection: "asyncpg.Connection[asyncpg.Record]",
) -> None:
    await check_identity(connection)
    await check_identity(connection)

    assert await load_epoch(connection) == 0


async def test_a_copy_of_a_database_is_another_one_and_raises_the_epoch_once(
    postgres: str, database: str
) -> None:
    before = Database(runtime_dsn(database, "intake"))
    async with before.connection() as connection:
        last = next_sequence(41, await load_epoch(connection))
    await before.close()
    restored = await clone_database(postgres, name_of(database))
    replicas = [Database(runtime_dsn(restored, "intake")) for _ in range(3)]
    try:
        await asyncio.gather(*(replica.open() for replica in replicas))
        async with replicas[0].connection() as connection:
            epoch = await load_epoch(connection)
        assert epoch == 1
        assert next_sequence(3, epoch) > last
    finally:
        for replica in replicas:
            await replica.close()
        await drop_database(postgres, name_of(restored))


async def test_an_epoch_is_raised_by_hand(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    assert (await raise_epoch(connection), await raise_epoch(connection)) == (1, 2)
    assert await load_epoch(connection) == 2
