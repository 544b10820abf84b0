"""The outbox: messages that are published if the transaction that caused them commits."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from shared.events.message import OutboxMessage
from shared.postgres.connection import Connection
from shared.postgres.writes import Write, write_together

_MAX_BYTES = 16 * 1024 * 1024  # held in memory at once


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """A message that waits for the relay. Of one key, ids rise in the order of writing."""

    id: int
    message: OutboxMessage


def outbox_write(messages: Sequence[OutboxMessage], now: datetime) -> Write | None:
    """Adds messages to the outbox in the given order and wakes the relay; None without messages.

    The caller holds the lock of the row that a message is about, so that outbox ids follow the
    order of commits.
    """
    if not messages:
        return None
    # One notification a transaction, however many messages: NOTIFY serialises commits.
    return Write(
        """
        INSERT INTO outbox (topic, key, value, headers, created_at)
        SELECT topic, key, value, headers, $5
        FROM unnest($1::text[], $2::bytea[], $3::bytea[], $4::jsonb[]) WITH ORDINALITY
             AS message (topic, key, value, headers, position)
        ORDER BY position
        """,
        (
            [message.topic for message in messages],
            [message.key for message in messages],
            [message.value for message in messages],
            [dict(message.headers) for message in messages],
            now,
        ),
        notify="outbox",
    )


async def insert_outbox(
    connection: Connection, messages: Sequence[OutboxMessage], now: datetime
) -> None:
    """`outbox_write` in a statement of its own."""
    await write_together(connection, [outbox_write(messages, now)])


async def advance_outbox(
    connection: Connection, published: Sequence[OutboxRow], limit: int
) -> list[OutboxRow]:
    """Delete what was published and read the first rows of the rest, in one round trip: at most
    `limit`, and no more than fit into 16 MiB. Do not page by `id > last`: a lower id may be
    committed later.
    """
    # The SELECT still sees the rows that the DELETE removes. A subquery, since the planner makes a
    # hash table of that, and of a parameter's array it does not.
    rows = await connection.fetch(
        """
        WITH deleted AS (DELETE FROM outbox WHERE id = ANY($1::bigint[]))
        SELECT id, topic, key, value, headers FROM (
            SELECT *, sum(octet_length(value))
                OVER (ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
            FROM (
                SELECT * FROM outbox WHERE id NOT IN (SELECT unnest($1::bigint[]))
                ORDER BY id LIMIT $2
            ) AS first
        ) AS measured
        WHERE before IS NULL OR before < $3
        ORDER BY id
        """,
        [row.id for row in published],
        limit,
        _MAX_BYTES,
    )
    return [OutboxRow(row[0], OutboxMessage(row[1], row[2], row[3], row[4])) for row in rows]


def may_have_more(rows: Sequence[OutboxRow], limit: int) -> bool:
    """Whether `advance_outbox` stopped at one of its bounds."""
    return len(rows) >= limit or sum(len(row.message.value or b"") for row in rows) >= _MAX_BYTES


async def delete_outbox(connection: Connection, rows: Sequence[OutboxRow]) -> None:
    """Delete rows that were published."""
    await connection.execute(
        "DELETE FROM outbox WHERE id = ANY($1::bigint[])", [row.id for row in rows]
    )


async def replace_outbox(connection: Connection, row: OutboxRow, message: OutboxMessage) -> None:
    """Put another message in a row's place."""
    await connection.execute(
        "UPDATE outbox SET topic = $2, key = $3, value = $4, headers = $5 WHERE id = $1",
        row.id,
        message.topic,
        message.key,
        message.value,
        dict(message.headers),
    )


async def load_oldest_outbox(connection: Connection) -> datetime | None:
    """When the first row was written; None when nothing waits."""
    written: datetime | None = await connection.fetchval(
        "SELECT created_at FROM outbox ORDER BY id LIMIT 1"
    )
    return written
