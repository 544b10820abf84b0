"""Events that leave with the transaction that caused them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from shared.db import Connection


@dataclass(frozen=True, slots=True)
class OutboxMessage:
    """One Kafka message: `topic` without prefix, `headers` as text; `value` None is a tombstone."""

    topic: str
    key: bytes
    value: bytes | None
    headers: Mapping[str, str] = field(default_factory=dict)


async def insert_outbox(connection: Connection, messages: Sequence[OutboxMessage], now: datetime) -> None:
    """Add messages to the outbox in the given order and wake the relay when the transaction commits."""
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
