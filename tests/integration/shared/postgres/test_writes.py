"""Several writes in one round trip: what each wrote is counted, and channels are notified once."""

import asyncio
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from shared.events.message import OutboxMessage
from shared.postgres.database import Database
from shared.postgres.errors import Conflict
from shared.postgres.outbox import outbox_write
from shared.postgres.timers import Timer, timers_write
from shared.postgres.writes import Write, write_together

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
INSERT_KEY = (
    "INSERT INTO integration_keys (key_id, name, secret_hash, created_at) "
    "SELECT unnest($1::text[]), $2, '', now() ON CONFLICT DO NOTHING"
)


async def test_parameters_of_each_write_are_its_own_and_rows_are_counted(intake: Database) -> None:
    messages = [OutboxMessage("topic", b"key", b"1"), OutboxMessage("topic", b"key", b"2")]
    timer = Timer("kind", uuid4(), NOW)

    async with intake.transaction() as connection:
        counts = await write_together(
            connection,
            [
                Write(INSERT_KEY, (["a", "b", "c"], "name")),
                None,
                outbox_write(messages, NOW),
                timers_write([timer], NOW),
            ],
        )
        values = await connection.fetch("SELECT value FROM outbox ORDER BY id")

    assert counts == [3, 0, 2, 1]
    assert [row["value"] for row in values] == [b"1", b"2"]


async def test_a_row_that_was_there_already_is_not_counted(intake: Database) -> None:
    async with intake.transaction() as connection:
        await write_together(connection, [Write(INSERT_KEY, (["a"], "name"))])
        assert await write_together(connection, [Write(INSERT_KEY, (["a", "b"], "name"))]) == [1]


async def test_nothing_to_write_asks_nothing(intake: Database) -> None:
    async with intake.transaction() as connection:
        assert await write_together(connection, [None, None]) == [0, 0]


async def test_channels_are_notified_when_the_transaction_commits(intake: Database) -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()
    messages = [OutboxMessage("topic", b"key", b"value")]
    async with intake.connection() as listener:
        await listener.add_listener(
            "intake.outbox", lambda *arguments: heard.put_nowait(arguments[2])
        )
        async with intake.transaction() as connection:
            await write_together(
                connection, [outbox_write(messages, NOW), outbox_write(messages, NOW)]
            )
            assert heard.empty()
        assert await asyncio.wait_for(heard.get(), 30) == "intake.outbox"
        await listener.reset()
    assert heard.empty()


async def test_a_write_that_misses_its_rows_undoes_the_whole_statement_without_a_transaction(
    intake: Database,
) -> None:
    messages = [OutboxMessage("topic", b"key", b"value")]
    async with intake.connection() as connection:
        await write_together(connection, [Write(INSERT_KEY, (["a"], "name"), expected=1)])
        with pytest.raises(Conflict):
            await write_together(
                connection,
                [
                    outbox_write(messages, NOW),
                    Write(INSERT_KEY, (["a", "b"], "name"), expected=2),
                    Write(INSERT_KEY, (["c"], "name"), expected=1),
                ],
            )
        assert await connection.fetchval("SELECT count(*) FROM outbox") == 0
        assert await connection.fetchval("SELECT count(*) FROM integration_keys") == 1
