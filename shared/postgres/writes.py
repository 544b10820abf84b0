"""Several writes of one transaction in one round trip.

At 100 alerts a second nearly every alert is a batch of its own, and then round trips cost more than
rows: a statement that writes to five tables costs little more than one that writes to one.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import asyncpg

from shared.postgres.connection import Connection
from shared.postgres.errors import Conflict

_PARAMETER = re.compile(r"\$(\d+)")


@dataclass(frozen=True, slots=True)
class Write:
    """An INSERT, UPDATE or DELETE without RETURNING.

    Its first argument is `$1`. `notify` is a channel of the service (`outbox`) that is notified
    when the transaction commits. `expected` is how many rows it must write: with any other number
    the statement fails as a whole, so that it needs no transaction around it to be safe.
    """

    sql: str
    arguments: tuple[Any, ...]
    notify: str | None = None
    expected: int | None = None


async def write_together(connection: Connection, writes: Sequence[Write | None]) -> list[int]:
    """Run the writes as one statement; returns how many rows each wrote (0 for None).

    Every write sees the tables as they were before the statement, and the order in which they run
    is not defined. So a write that needs the effect of another belongs in a statement of its own.
    Foreign keys are checked at the end of the statement, so parents and children may go together.
    Raises Conflict when a write did not write the rows that it expects; then nothing is written.
    """
    given = [write for write in writes if write is not None]
    if not given:
        return [0] * len(writes)
    channels = tuple(dict.fromkeys(write.notify for write in given if write.notify))
    shapes = tuple((one.sql, len(one.arguments), one.expected is not None) for one in given)
    arguments = [value for write in given for value in write.arguments]
    arguments += [write.expected for write in given if write.expected is not None]
    try:
        row = await connection.fetchrow(_combine(shapes, channels), *arguments)
    except asyncpg.DivisionByZeroError:
        raise Conflict("another transaction wrote first") from None
    counts = iter(row[: len(given)] if row else ())
    return [0 if write is None else next(counts) for write in writes]


@lru_cache(maxsize=512)
def _combine(shapes: tuple[tuple[str, int, bool], ...], channels: tuple[str, ...]) -> str:
    """The same text for the same writes, so that the server plans it once per connection."""
    clauses, used = [], 0
    for number, (sql, arguments, _) in enumerate(shapes):
        clauses.append(f"part_{number} AS ({_shift(sql, used)} RETURNING 1)")
        used += arguments
    parts = range(len(shapes))
    counts = [f"(SELECT count(*) FROM part_{number})" for number in parts]  # noqa: S608
    expecting = [count for count, shape in zip(counts, shapes, strict=True) if shape[2]]
    # An error is the one thing that undoes a statement, and the planner cannot foresee this one.
    guards = [
        f"1 / ({count} = ${place}::bigint)::int" for place, count in enumerate(expecting, used + 1)
    ]
    columns = [*counts, *guards]
    columns += [f"pg_notify(current_schema || '.{channel}', '')" for channel in channels]
    # Made of statements that stand in stores, never of values.
    return f"WITH {', '.join(clauses)} SELECT {', '.join(columns)}"


def _shift(sql: str, by: int) -> str:
    """The statement with its parameters renumbered, since all parts share one list of arguments."""
    return _PARAMETER.sub(lambda match: f"${int(match[1]) + by}", sql)
