"""The audit log's SQL: it is added to and read, never changed."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from services.reporting.audit.domain import Entry
from shared.postgres.connection import Connection


@dataclass(frozen=True, slots=True)
class Chain:
    """A topic-partition and the offset of its newest record by the consumer's own books, None when
    it has none.
    """

    topic: str
    partition: int
    last_offset: int | None


_COLUMNS = ("topic", "partition", "offset", "recorded_at", "key", "value", "headers", "hash")


async def load_heads(
    connection: Connection, places: Collection[tuple[str, int]]
) -> dict[tuple[str, int], bytes]:
    """The last hash of each (topic, partition) that has one. The caller holds the partitions'
    offset rows.
    """
    rows = await connection.fetch(
        """
        SELECT place.topic, place."partition", head.hash
        FROM unnest($1::text[], $2::integer[]) AS place (topic, "partition")
        CROSS JOIN LATERAL (
            SELECT hash FROM audit
            WHERE audit.topic = place.topic AND audit."partition" = place."partition"
            ORDER BY audit."offset" DESC LIMIT 1
        ) AS head
        """,
        [topic for topic, _ in places],
        [partition for _, partition in places],
    )
    return {(row["topic"], row["partition"]): row["hash"] for row in rows}


async def insert_audit(connection: Connection, entries: Sequence[Entry]) -> None:
    """Append rows by COPY."""
    await connection.copy_records_to_table(
        "audit", columns=_COLUMNS, records=[tuple(getattr(e, c) for c in _COLUMNS) for e in entries]
    )


async def list_chains(connection: Connection) -> list[Chain]:
    """Every topic-partition that has records, or that the consumer says it has recorded something
    of.
    """
    rows = await connection.fetch(
        """
        WITH RECURSIVE recorded AS (
            (SELECT topic, "partition" FROM audit ORDER BY topic, "partition" LIMIT 1)
            UNION ALL
            -- From place to place along the primary key: a DISTINCT would read the whole log.
            SELECT following.* FROM recorded CROSS JOIN LATERAL (
                SELECT topic, "partition" FROM audit
                WHERE (audit.topic, audit."partition") > (recorded.topic, recorded."partition")
                ORDER BY topic, "partition" LIMIT 1
            ) AS following
        )
        SELECT topic, "partition", last_offset
        FROM recorded FULL JOIN offsets USING (topic, "partition")
        WHERE recorded.topic IS NOT NULL OR last_offset IS NOT NULL
        ORDER BY topic, "partition"
        """
    )
    return [Chain(*row.values()) for row in rows]


async def list_audit(
    connection: Connection, topic: str, partition: int, after: int, until: int, limit: int
) -> list[Entry]:
    """At most `limit` rows of one chain with `after` < offset <= `until`, in order of offset."""
    rows = await connection.fetch(
        f"""
        SELECT {", ".join(f'"{column}"' for column in _COLUMNS)} FROM audit
        WHERE topic = $1 AND "partition" = $2 AND "offset" > $3 AND "offset" <= $4
        ORDER BY "offset" LIMIT $5
        """,  # noqa: S608 - column names of our own
        topic,
        partition,
        after,
        until,
        limit,
    )
    return [Entry(*row.values()) for row in rows]
