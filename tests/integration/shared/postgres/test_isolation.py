"""Isolation finds the one bad item of a batch by halves."""

from collections.abc import Sequence

import asyncpg

from shared.postgres.connection import Connection
from shared.postgres.database import Database
from shared.postgres.isolation import isolate
from tests.support.consuming import SERVICE, Diary
from tests.support.stack import runtime_dsn


async def test_isolation_serves_what_is_no_record(database: str, diary: Diary) -> None:
    """Timers and HTTP batches use it too; it needs only a connection in a transaction."""
    await diary.admin.execute("ALTER TABLE effects ADD number integer CHECK (number < 1000)")
    calls, refused = [], []

    async def work(connection: Connection, items: Sequence[int]) -> None:
        calls.append(len(items))
        await connection.executemany(
            "INSERT INTO effects (number) VALUES ($1)", [(item,) for item in items]
        )

    async def on_poison(_: Connection, item: int, error: Exception) -> None:
        refused.append((item, type(error)))

    service = Database(runtime_dsn(database, SERVICE))
    async with service.transaction() as connection:
        await isolate(connection, [*range(63), 4000], work, on_poison)
    await service.close()

    assert refused == [(4000, asyncpg.CheckViolationError)]
    assert await diary.admin.fetchval("SELECT count(*) FROM effects") == 63
    assert len(calls) == 13  # by halves, not one by one
