"""Messages leave with the transaction that wrote them, or not at all."""

import asyncio

import pytest

from shared.events.message import OutboxMessage
from shared.postgres.database import Database
from shared.postgres.outbox import OutboxRow, advance_outbox, insert_outbox
from shared.postgres.wake import Wake
from shared.runtime.clock import system_clock


def message(number: int) -> OutboxMessage:
    return OutboxMessage(
        "tocsin.intake.v1", b"key", b"%d" % number, {"traceparent": "00-1", "é": "\n"}
    )


async def test_messages_keep_their_order_and_their_bytes(intake: Database) -> None:
    written = [message(number) for number in range(500)]
    written[250] = OutboxMessage("tocsin.incidents.v1", b"\xff\x00", None)

    async with intake.transaction() as connection:
        await insert_outbox(connection, written[:300], system_clock())
        await insert_outbox(connection, [], system_clock())
        await insert_outbox(connection, written[300:], system_clock())

    async with intake.connection() as connection:
        rows = await advance_outbox(connection, [], 1000)
    assert [row.message for row in rows] == written
    assert [row.id for row in rows] == sorted(row.id for row in rows)


async def test_a_transaction_that_fails_leaves_nothing(intake: Database) -> None:
    async def fails() -> None:
        async with intake.transaction() as connection:
            await insert_outbox(connection, [message(1)], system_clock())
            raise RuntimeError("too bad")

    with pytest.raises(RuntimeError, match="too bad"):
        await fails()

    async with intake.connection() as connection:
        assert not await advance_outbox(connection, [], 1)


async def test_the_relay_is_woken_when_the_transaction_commits_and_not_before(
    intake: Database,
) -> None:
    wake = Wake(intake.dsn, "intake")
    woken = wake.subscribe("outbox")
    listening = asyncio.create_task(wake.run())
    try:
        await woken.wait()  # it listens from now on
        woken.clear()
        async with intake.transaction() as connection:
            await insert_outbox(connection, [message(1)], system_clock())
            async with intake.connection() as other:
                await other.execute("SELECT 1")
            assert not woken.is_set()
        await woken.wait()
    finally:
        listening.cancel()


async def test_large_messages_are_read_a_few_at_a_time(intake: Database) -> None:
    sizes = [1, 6, 6, 6, 1]
    messages = [OutboxMessage("a", b"key", bytes(size << 20)) for size in sizes]
    async with intake.transaction() as connection:
        await insert_outbox(connection, messages, system_clock())
        read, rows = [], list[OutboxRow]()
        while rows := await advance_outbox(connection, rows, 1000):
            read.append([len(row.message.value or b"") >> 20 for row in rows])
    assert read == [[1, 6, 6, 6], [1]], "the row that reaches the bound is the last"


async def test_one_statement_deletes_what_was_published_and_reads_what_is_next(
    intake: Database,
) -> None:
    async with intake.transaction() as connection:
        await insert_outbox(connection, [message(number) for number in range(5)], system_clock())

    async with intake.connection() as connection:
        first, second, third = await advance_outbox(connection, [], 3)
        rest = await advance_outbox(connection, [first, third], 3)
        assert [row.message for row in rest] == [second.message, message(3), message(4)]
        assert await advance_outbox(connection, [first, third], 1) == [second], "again, no harm"
        assert await advance_outbox(connection, rest, 3) == []
        assert await connection.fetchval("SELECT count(*) FROM outbox") == 0
