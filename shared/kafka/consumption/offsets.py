"""Where a consumer stands: its rows in Postgres, and whether a log still is the one that they speak
of.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from shared.postgres.connection import Connection


class Place(NamedTuple):
    """A topic (without prefix) and one of its partitions."""

    topic: str
    partition: int


@dataclass(frozen=True, slots=True)
class Position:
    """All before `next_offset` is done; the newest record that is done has `last_offset` and
    `last_timestamp`.
    """

    next_offset: int
    last_offset: int | None = None
    last_timestamp: datetime | None = None


async def load_positions(connection: Connection, places: Sequence[Place]) -> dict[Place, Position]:
    """The rows that exist."""
    return await _select(connection, places, "")


async def lock_positions(
    connection: Connection, places: Sequence[Place], new: Mapping[Place, Position]
) -> dict[Place, Position]:
    """Lock the rows until the transaction ends; those in `new` are written first where they are
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
            *_columns(new),
            [position.next_offset for position in new.values()],
        )
    # In one order, so that two owners of the same partitions never wait for each other in a circle.
    return await _select(connection, places, "ORDER BY topic, partition FOR UPDATE OF offsets")


async def save_positions(connection: Connection, positions: Mapping[Place, Position]) -> None:
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
        *_columns(positions),
        [position.next_offset for position in positions.values()],
        [position.last_offset for position in positions.values()],
        [position.last_timestamp for position in positions.values()],
    )


async def skip_markers(connection: Connection, place: Place, before: int, after: int) -> bool:
    """Move a row from `before` past transaction markers to `after`, if it still stands there;
    whether it did.
    """
    status = await connection.execute(
        'UPDATE offsets SET next_offset = $4 WHERE topic = $1 AND "partition" = $2 AND next_offset = $3',
        place.topic,
        place.partition,
        before,
        after,
    )
    return status == "UPDATE 1"


def mismatch(position: Position, beginning: int, end: int) -> str | None:
    """Why a log from `beginning` up to `end` cannot go on from the position; None when it can."""
    if position.next_offset > end:
        return (
            f"the log ends at offset {end}, but all before {position.next_offset} is done: "
            "the topic was recreated, or its end was lost"
        )
    if position.next_offset < beginning:
        return (
            f"the log begins at offset {beginning}, but {position.next_offset} is next: "
            "retention removed records that were never read"
        )
    return None


async def _select(
    connection: Connection, places: Sequence[Place], tail: str
) -> dict[Place, Position]:
    rows = await connection.fetch(
        f"""
        SELECT topic, "partition", next_offset, last_offset, last_timestamp
        FROM offsets JOIN unnest($1::text[], $2::integer[]) AS wanted (topic, "partition") USING (topic, "partition")
        {tail}
        """,  # noqa: S608 - two constants of this module
        *_columns(places),
    )
    return {
        Place(row["topic"], row["partition"]): Position(
            row["next_offset"], row["last_offset"], row["last_timestamp"]
        )
        for row in rows
    }


def _columns(places: Sequence[Place] | Mapping[Place, Position]) -> tuple[list[str], list[int]]:
    return [place.topic for place in places], [place.partition for place in places]
