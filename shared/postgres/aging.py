"""Which rows of a table age, and SQL that deletes those that are too old.

A run walks a table once, block by block: each statement is bounded, needs no index, and never sees
again what it has passed.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from shared.events.message import OutboxMessage
from shared.postgres.connection import Connection
from shared.postgres.installation import raise_epoch_since
from shared.postgres.outbox import outbox_write
from shared.postgres.writes import write_together

_BLOCKS = 256
"""Of 8 KiB, read by one statement."""


@dataclass(frozen=True, slots=True)
class Aging:
    """One kind of rows that age. `too_old` is the condition, in which `$1` is an instant; it must
    not hold for anything that is still going on. `key` identifies a row.

    `along` are statements on other tables by their name, in which `aged` has the `key`s that are
    deleted. `sequences`: events about these rows have sequences, which must go on above those that
    were handed out if such a row is ever made again.
    """

    kind: str
    table: str
    key: str
    too_old: str
    along: Mapping[str, str] = field(default_factory=dict)
    sequences: bool = False

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables that its statement deletes from, in the order of the counts."""
        return (self.table, *self.along)

    def delete(self) -> str:
        """Deletes what is older than `$1` in the blocks from `$2` to before `$3`; gives counts."""
        # Made of statements that stand in stores, never of values.
        own = f"""
            DELETE FROM {self.table} WHERE {self.key} = ANY (ARRAY (SELECT key FROM aged))
        """  # noqa: S608
        numbered = list(enumerate([own, *self.along.values()]))
        clauses = [f"part_{number} AS ({text} RETURNING 1)" for number, text in numbered]
        counts = [f"(SELECT count(*) FROM part_{number})" for number, _ in numbered]  # noqa: S608
        return f"""
            WITH aged AS MATERIALIZED (
                SELECT {self.key} AS key FROM {self.table}
                WHERE ctid >= $2::tid AND ctid < $3::tid AND {self.too_old}
                FOR UPDATE SKIP LOCKED
            ), {", ".join(clauses)} SELECT {", ".join(counts)}
        """  # noqa: S608


@dataclass(slots=True)
class Run:
    """A run under way: what it deletes, by kind, and where it stands: the number of the kind and
    the next block of its table.
    """

    started_at: datetime
    policy_version: str
    older_than: dict[str, datetime]
    deleted: dict[str, dict[str, int]]
    place: int = 0
    block: int = 0


@dataclass(frozen=True, slots=True)
class Schedule:
    """When the next run is due, when the last one ended, and the run that is under way."""

    due_at: datetime
    finished_at: datetime | None
    run: Run | None


async def load_schedule(connection: Connection) -> Schedule:
    """As it is now, whoever works on it."""
    row = await connection.fetchrow("SELECT due_at, finished_at, run FROM retention")
    assert row is not None  # noqa: S101 - made by the migration
    return _schedule(row)


async def lock_schedule(connection: Connection) -> Schedule | None:
    """The same, locked until the transaction ends; None while another replica works on it."""
    row = await connection.fetchrow(
        "SELECT due_at, finished_at, run FROM retention FOR UPDATE SKIP LOCKED"
    )
    return _schedule(row) if row else None


def _schedule(row: Any) -> Schedule:
    run = row["run"]
    if run is None:
        return Schedule(row["due_at"], row["finished_at"], None)
    older_than = {kind: datetime.fromisoformat(at) for kind, at in run["older_than"].items()}
    started_at = datetime.fromisoformat(run["started_at"])
    under_way = Run(**run | {"started_at": started_at, "older_than": older_than})
    return Schedule(row["due_at"], row["finished_at"], under_way)


async def save_run(connection: Connection, run: Run) -> None:
    """Keep how far the run has come. The caller holds the lock of the schedule."""
    await connection.execute("UPDATE retention SET run = $1", asdict(run))


async def end_run(
    connection: Connection, message: OutboxMessage, due_at: datetime, now: datetime
) -> None:
    """End the run with the event that tells of it. The caller holds the lock of the schedule."""
    await connection.execute(
        "UPDATE retention SET run = NULL, due_at = $1, finished_at = $2", due_at, now
    )
    await write_together(connection, [outbox_write([message], now)])


async def delete_aged(connection: Connection, aging: Aging, run: Run) -> bool:
    """Delete from the next blocks of a table, and move the run on. False at the table's end."""
    blocks = await connection.fetchval(
        "SELECT pg_relation_size($1::regclass) / current_setting('block_size')::int", aging.table
    )
    if run.block >= blocks:
        return False
    end = run.block + _BLOCKS
    older_than = run.older_than[aging.kind]
    counts = await connection.fetchrow(aging.delete(), older_than, (run.block, 0), (end, 0))
    deleted = run.deleted.setdefault(aging.kind, dict.fromkeys(aging.tables, 0))
    for table, count in zip(aging.tables, counts or (), strict=True):
        deleted[table] += count
    if aging.sequences and deleted[aging.table]:
        await raise_epoch_since(connection, older_than)
    run.block = end
    return True
