"""Connections that died without a word: the peer takes everything and answers nothing."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from shared.postgres import liveness
from shared.postgres.database import Database
from shared.postgres.errors import UNAVAILABLE
from shared.postgres.wake import Wake
from tests.support.proxies import Proxy, proxy
from tests.support.running import eventually
from tests.support.stack import runtime_dsn

_LIMIT_SECONDS = 5  # for one request; a busy machine may take twice as long
_SLOW = 2


@pytest.fixture
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same with less patience, where a test is not about how long it takes."""
    monkeypatch.setattr(liveness, "_PATIENCE_SECONDS", 0.3)
    monkeypatch.setattr(liveness, "_ASKING_SECONDS", 0.7)


@pytest.fixture
async def door(database: str) -> AsyncIterator[tuple[Proxy, Database]]:
    """Intake's database through a proxy."""
    async with proxy(runtime_dsn(database, "intake")) as (made, dsn):
        behind = Database(dsn)
        try:
            yield made, behind
        finally:
            await behind.close()


async def ask(database: Database, query: str = "SELECT 1") -> object:
    async with database.connection() as connection:
        return await connection.fetchval(query)


async def seconds_to_fail(database: Database) -> float:
    began = asyncio.get_running_loop().time()
    with pytest.raises(UNAVAILABLE):
        await ask(database)
    return asyncio.get_running_loop().time() - began


async def test_dead_connections_cost_one_request_five_seconds_and_the_next_nothing(
    door: tuple[Proxy, Database],
) -> None:
    made, database = door
    assert await asyncio.gather(*(ask(database) for _ in range(4))) == [1] * 4
    assert made.silence() >= 4

    assert await seconds_to_fail(database) < _SLOW * _LIMIT_SECONDS

    async with asyncio.timeout(_SLOW * _LIMIT_SECONDS):
        assert await asyncio.gather(*(ask(database) for _ in range(8))) == [1] * 8


async def test_while_nothing_is_forwarded_a_request_fails_within_five_seconds(
    door: tuple[Proxy, Database],
) -> None:
    made, database = door
    await ask(database)
    made.forwards = False
    made.silence()

    for _ in range(2):  # on a connection that died; then none can be had
        assert await seconds_to_fail(database) < _SLOW * _LIMIT_SECONDS

    made.forwards = True
    await eventually("an answer", lambda: _answers(database))


async def _answers(database: Database) -> bool:
    try:
        return await ask(database) == 1
    except UNAVAILABLE:
        return False


@pytest.mark.usefixtures("_hasty")
async def test_a_statement_that_is_only_slow_gets_its_answer(door: tuple[Proxy, Database]) -> None:
    _, database = door
    assert await ask(database, "SELECT 1 FROM pg_sleep(1.5)") == 1


@pytest.mark.usefixtures("_hasty")
async def test_a_transaction_on_a_dead_connection_is_rolled_back(
    door: tuple[Proxy, Database], intake: Database
) -> None:
    made, database = door
    with pytest.raises(UNAVAILABLE):
        await _write_twice(made, database)

    # The server ends it, so that its locks go as well.
    await eventually("no open transaction", lambda: _no_transaction(intake))
    assert await ask(intake, "SELECT count(*) FROM policies") == 0


async def _write_twice(made: Proxy, database: Database) -> None:
    async with database.transaction() as connection:
        await connection.execute("INSERT INTO policies VALUES ('a', '1', '')")
        made.silence()
        await connection.execute("INSERT INTO policies VALUES ('b', '1', '')")


async def _no_transaction(database: Database) -> bool:
    return not await ask(
        database,
        "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'"
        " AND datname = current_database()",
    )


async def test_notifications_come_again_when_their_connection_died(
    database: str, intake: Database
) -> None:
    async with proxy(runtime_dsn(database, "intake")) as (made, dsn):
        wake = Wake(dsn, "intake")
        woken = wake.subscribe("outbox")
        task = asyncio.create_task(wake.run())
        try:
            await eventually("listening", lambda: asyncio.sleep(0, not wake.problems()))
            made.silence()
            woken.clear()
            await ask(intake, "SELECT pg_notify('intake.outbox', '')")
            async with asyncio.timeout(_SLOW * _LIMIT_SECONDS):
                await woken.wait()
        finally:
            task.cancel()
            await asyncio.wait({task})
