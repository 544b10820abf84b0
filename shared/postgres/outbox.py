"""Events that leave with the transaction that caused them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from shared.events.message import OutboxMessage
from shared.postgres.connection import Connection

_MAX_BYTES = 16 * 1024 * 1024  # held in memory at once


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """A message that waits for the relay. Ids rise in the order in which a key's messages were
    written.
    """

    id: int
    message: OutboxMessage


async def insert_outbox(
    connection: Connection, messages: Sequence[OutboxMessage], now: datetime
) -> None:
    """Add messages to the outbox in the given order and wake the relay when the transaction
    commits.

    Whoever writes about a subject holds its row's lock by now, so that ids follow the order of the
    commits.
    """
    if not messages:
        return
    # One notification a transaction, however many messages: NOTIFY serialises commits.
    await connection.execute(
        """
        WITH inserted AS (
            INSERT INTO outbox (topic, key, value, headers, created_at)
            SELECT topic, key, value, headers, $5
            FROM unnest($1::text[], $2::bytea[], $3::bytea[], $4::jsonb[]) WITH ORDINALITY
                 AS message (topic, key, value, headers, position)
            ORDER BY position
        )
        SELECT pg_notify(current_schema || '.outbox', '')
        """,
        [message.topic for message in messages],
        [message.key for message in messages],
        [message.value for message in messages],
        [dict(message.headers) for message in messages],
        now,
    )


async def list_outbox(connection: Connection, limit: int) -> list[OutboxRow]:
    """The first rows: at most `limit`, and no more than fit into 16 MiB. Never paged by `id >
    last`: a lower id may be committed later.
    """
    rows = await connection.fetch(
        """
        SELECT id, topic, key, value, headers FROM (
            SELECT *, sum(octet_length(value))
                OVER (ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
            FROM (SELECT * FROM outbox ORDER BY id LIMIT $1) AS first
        ) AS measured
        WHERE before IS NULL OR before < $2
        ORDER BY id
        """,
        limit,
        _MAX_BYTES,
    )
    return [OutboxRow(row[0], OutboxMessage(row[1], row[2], row[3], row[4])) for row in rows]


async def delete_outbox(connection: Connection, rows: Sequence[OutboxRow]) -> None:
    """Forget what was published."""
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
