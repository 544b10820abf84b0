"""Offset rows: advanced where they stand as expected, locked until the transaction ends."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import asyncpg
import pytest

from shared.kafka.consumption.offsets import (
    Advance,
    StoredOffset,
    TopicPartition,
    advance_offsets,
    load_offsets,
    lock_offsets,
    save_offsets,
)
from shared.postgres.connection import Connection
from shared.postgres.database import Database
from tests.support.running import eventually

NOON = datetime(2030, 6, 1, 12, tzinfo=UTC)
FIRST, SECOND, MISSING = (TopicPartition("things", number) for number in range(3))


@pytest.fixture
async def rows(intake: Database) -> None:
    """Two rows, both at 5."""
    at = {FIRST: StoredOffset(5, 4, NOON), SECOND: StoredOffset(5)}
    async with intake.transaction() as connection:
        await lock_offsets(connection, list(at), at)
        await save_offsets(connection, at)


@pytest.fixture
async def admin(database: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    connection = await asyncpg.connect(database)
    yield connection
    await connection.close()


async def load(intake: Database) -> dict[TopicPartition, StoredOffset]:
    async with intake.connection() as connection:
        return await load_offsets(connection, [FIRST, SECOND, MISSING])


@pytest.mark.usefixtures("rows")
async def test_only_rows_that_stand_where_they_are_expected_are_advanced(intake: Database) -> None:
    to = StoredOffset(9, 8, NOON)
    async with intake.transaction() as connection:
        moved = await advance_offsets(
            connection, {FIRST: Advance(5, to), SECOND: Advance(6, to), MISSING: Advance(0, to)}
        )

    assert moved == {FIRST}
    assert await load(intake) == {FIRST: to, SECOND: StoredOffset(5)}


@pytest.mark.usefixtures("rows")
async def test_a_row_that_passes_markers_keeps_its_last_record(intake: Database) -> None:
    async with intake.transaction() as connection:
        assert await advance_offsets(connection, {FIRST: Advance(5, StoredOffset(7))}) == {FIRST}

    assert (await load(intake))[FIRST] == StoredOffset(7, 4, NOON)


@pytest.mark.usefixtures("rows")
@pytest.mark.parametrize("commits", [True, False])
async def test_of_two_owners_that_advance_from_the_same_place_one_does(
    intake: Database, admin: Connection, commits: bool
) -> None:
    """The second waits for the first, then compares with what the first has left."""
    advance = {FIRST: Advance(5, StoredOffset(9, 8, NOON))}

    async def second() -> set[TopicPartition]:
        async with intake.transaction() as connection:
            return await advance_offsets(connection, advance)

    async with intake.connection() as connection:
        first = connection.transaction()
        await first.start()
        assert await advance_offsets(connection, advance) == {FIRST}
        waiting = asyncio.create_task(second())
        await eventually("the second waits", lambda: is_waiting(admin))
        await (first.commit() if commits else first.rollback())

    assert await waiting == (set() if commits else {FIRST})
    assert (await load(intake))[FIRST].next_offset == 9


@pytest.mark.usefixtures("rows")
async def test_a_row_that_is_not_advanced_is_locked_all_the_same(
    intake: Database, admin: Connection
) -> None:
    async with intake.transaction() as connection:
        assert not await advance_offsets(connection, {FIRST: Advance(6, StoredOffset(9))})
        locked = "SELECT FROM intake.offsets WHERE partition = 0 FOR UPDATE SKIP LOCKED"
        assert not await admin.fetch(locked)
    assert await admin.fetch(locked)


async def is_waiting(admin: Connection) -> bool:
    return bool(
        await admin.fetchval(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
    )


async def test_owners_of_the_same_partitions_do_not_deadlock(intake: Database) -> None:
    names = [TopicPartition(f"t{number % 7}", number) for number in range(30)]
    zero = {name: StoredOffset(0) for name in names}
    async with intake.transaction() as connection:
        await lock_offsets(connection, names, zero)

    async def owner(seed: int) -> None:
        for turn in range(30):
            first = (7 * seed + 11 * turn) % len(names)
            mine = (names[first:] + names[:first])[:20][:: -1 if seed % 2 else 1]
            async with intake.transaction() as connection:
                rows = await load_offsets(connection, mine)
                advances = {
                    name: Advance(rows[name].next_offset, StoredOffset(rows[name].next_offset + 1))
                    for name in mine
                }
                await advance_offsets(connection, advances)

    await asyncio.gather(*(owner(seed) for seed in range(6)))  # a deadlock would raise
