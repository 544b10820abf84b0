"""The audit log's SQL: rows are added and read, never changed."""

from collections.abc import Collection, Sequence

from services.reporting.audit.domain import AuditRow, Chain
from shared.postgres.connection import Connection
from shared.postgres.writes import Write

_COLUMNS = ("topic", "partition", "offset", "recorded_at", "key", "value", "headers", "hash")


async def load_heads(
    connection: Connection, partitions: Collection[tuple[str, int]]
) -> dict[tuple[str, int], bytes]:
    """The last hash of each chain that has one. The partitions' offset rows are locked."""
    rows = await connection.fetch(
        """
        SELECT wanted.topic, wanted."partition", head.hash
        FROM unnest($1::text[], $2::integer[]) AS wanted (topic, "partition")
        CROSS JOIN LATERAL (
            SELECT hash FROM audit
            WHERE audit.topic = wanted.topic AND audit."partition" = wanted."partition"
            ORDER BY audit."offset" DESC LIMIT 1
        ) AS head
        """,
        [topic for topic, _ in partitions],
        [partition for _, partition in partitions],
    )
    return {(row["topic"], row["partition"]): row["hash"] for row in rows}


def audit_write(rows: Sequence[AuditRow]) -> Write:
    """Appends rows. It takes any bytes, so it fails for no record."""
    return Write(
        """
        INSERT INTO audit (topic, "partition", "offset", recorded_at, key, value, headers, hash)
        SELECT * FROM unnest(
            $1::text[], $2::integer[], $3::bigint[], $4::timestamptz[],
            $5::bytea[], $6::bytea[], $7::bytea[], $8::bytea[])
        """,
        tuple([getattr(row, column) for row in rows] for column in _COLUMNS),
    )


async def list_chains(connection: Connection) -> list[Chain]:
    """Every topic-partition that has audit rows, or an offset that its consumer recorded."""
    rows = await connection.fetch(
        """
        WITH RECURSIVE recorded AS (
            (SELECT topic, "partition" FROM audit ORDER BY topic, "partition" LIMIT 1)
            UNION ALL
            -- From partition to partition along the primary key: a DISTINCT reads the whole log.
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
) -> list[AuditRow]:
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
    return [AuditRow(*row.values()) for row in rows]
