"""The offset rows in Postgres, and whether a log is still the one that they were written for."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from shared.postgres.connection import Connection
from shared.postgres.writes import Write


class TopicPartition(NamedTuple):
    """A topic (without prefix) and one of its partitions."""

    topic: str
    partition: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}"


@dataclass(frozen=True, slots=True)
class StoredOffset:
    """A partition's row: all before `next_offset` is done; the newest record that is done has
    `last_offset` and `last_timestamp`.
    """

    next_offset: int
    last_offset: int | None = None
    last_timestamp: datetime | None = None


@dataclass(frozen=True, slots=True)
class Advance:
    """A row's way from where it has to stand to what it becomes."""

    start: int
    to: StoredOffset


async def load_offsets(
    connection: Connection, partitions: Sequence[TopicPartition]
) -> dict[TopicPartition, StoredOffset]:
    """The rows that exist."""
    return await _select(connection, partitions, "")


async def advance_offsets(
    connection: Connection, advances: Mapping[TopicPartition, Advance]
) -> set[TopicPartition]:
    """Advance the rows that stand where they are expected, and lock the others that exist, until
    the transaction ends. Returns those that were advanced.
    """
    # Locked in one order first, so that two owners of the same partitions cannot deadlock: an
    # UPDATE alone takes its rows in any order.
    rows = await connection.fetch(
        """
        WITH locked AS (
            SELECT done.* FROM offsets
            JOIN unnest($1::text[], $2::integer[], $3::bigint[], $4::bigint[], $5::bigint[],
                        $6::timestamptz[])
                 AS done (topic, "partition", start, next_offset, last_offset, last_timestamp)
                 USING (topic, "partition")
            ORDER BY topic, "partition" FOR UPDATE OF offsets
        )
        UPDATE offsets SET next_offset = locked.next_offset,
            last_offset = coalesce(locked.last_offset, offsets.last_offset),
            last_timestamp = coalesce(locked.last_timestamp, offsets.last_timestamp)
        FROM locked
        WHERE offsets.topic = locked.topic AND offsets."partition" = locked."partition"
            AND offsets.next_offset = locked.start
        RETURNING offsets.topic, offsets."partition"
        """,
        *_keys(advances),
        [advance.start for advance in advances.values()],
        *_values(advance.to for advance in advances.values()),
    )
    return {TopicPartition(row[0], row[1]) for row in rows}


def offset_write(tp: TopicPartition, advance: Advance) -> Write:
    """Advances one row, which must stand where it is expected."""
    offset = advance.to
    return Write(
        """
        UPDATE offsets SET next_offset = $4::bigint,
            last_offset = coalesce($5::bigint, last_offset),
            last_timestamp = coalesce($6::timestamptz, last_timestamp)
        WHERE topic = $1::text AND "partition" = $2::integer AND next_offset = $3::bigint
        """,
        (*tp, advance.start, offset.next_offset, offset.last_offset, offset.last_timestamp),
        expected=1,
    )


async def lock_offsets(
    connection: Connection,
    partitions: Sequence[TopicPartition],
    new: Mapping[TopicPartition, StoredOffset],
) -> dict[TopicPartition, StoredOffset]:
    """Lock the rows until the transaction ends; those in `new` are inserted first where they are
    missing.

    Two owners that both found no row meet at the primary key: the second waits, then sees what the
    first did.
    """
    if new:
        await connection.execute(
            """
            INSERT INTO offsets (topic, "partition", next_offset)
            SELECT * FROM unnest($1::text[], $2::integer[], $3::bigint[]) ORDER BY 1, 2
            ON CONFLICT DO NOTHING
            """,
            *_keys(new),
            [offset.next_offset for offset in new.values()],
        )
    return await _select(connection, partitions, "ORDER BY topic, partition FOR UPDATE OF offsets")


async def save_offsets(
    connection: Connection, offsets: Mapping[TopicPartition, StoredOffset]
) -> None:
    """Advance rows that this transaction has locked."""
    await connection.execute(
        """
        UPDATE offsets SET next_offset = done.next_offset,
            last_offset = coalesce(done.last_offset, offsets.last_offset),
            last_timestamp = coalesce(done.last_timestamp, offsets.last_timestamp)
        FROM unnest($1::text[], $2::integer[], $3::bigint[], $4::bigint[], $5::timestamptz[])
             AS done (topic, "partition", next_offset, last_offset, last_timestamp)
        WHERE offsets.topic = done.topic AND offsets.partition = done.partition
        """,
        *_keys(offsets),
        *_values(offsets.values()),
    )


def mismatch(next_offset: int, beginning: int, end: int) -> str | None:
    """Why a log from `beginning` to `end` cannot be read on from `next_offset`; None if it can."""
    if next_offset > end:
        return (
            f"the log ends at offset {end}, but all before {next_offset} is done: "
            "the topic was recreated, or its end was lost"
        )
    if next_offset < beginning:
        return (
            f"the log begins at offset {beginning}, but {next_offset} is next: "
            "retention removed records that were never read"
        )
    return None


async def _select(
    connection: Connection, partitions: Sequence[TopicPartition], tail: str
) -> dict[TopicPartition, StoredOffset]:
    rows = await connection.fetch(
        f"""
        SELECT topic, "partition", next_offset, last_offset, last_timestamp
        FROM offsets JOIN unnest($1::text[], $2::integer[]) AS wanted (topic, "partition")
            USING (topic, "partition")
        {tail}
        """,  # noqa: S608 - two constants of this module
        *_keys(partitions),
    )
    return {TopicPartition(row[0], row[1]): StoredOffset(row[2], row[3], row[4]) for row in rows}


def _keys(partitions: Iterable[TopicPartition]) -> tuple[list[str], list[int]]:
    names = list(partitions)
    return [name.topic for name in names], [name.partition for name in names]


def _values(offsets: Iterable[StoredOffset]) -> tuple[list[Any], list[Any], list[Any]]:
    rows = list(offsets)
    return (
        [row.next_offset for row in rows],
        [row.last_offset for row in rows],
        [row.last_timestamp for row in rows],
    )
