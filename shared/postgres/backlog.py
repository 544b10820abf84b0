"""How much of the plumbing's work is waiting."""

from dataclasses import dataclass
from datetime import datetime

from shared.postgres.connection import Connection

_COUNTED = 10_000


@dataclass(frozen=True, slots=True)
class Backlog:
    """`outbox_rows` are counted up to 10,000; `timer_due` is the earliest time of a timer."""

    outbox_since: datetime | None
    outbox_rows: int
    timer_due: datetime | None


async def load_backlog(connection: Connection) -> Backlog:
    """By index alone."""
    row = await connection.fetchrow(
        """
        SELECT (SELECT created_at FROM outbox ORDER BY id LIMIT 1),
               (SELECT count(*) FROM (SELECT id FROM outbox ORDER BY id LIMIT $1) AS first),
               (SELECT min(due_at) FROM timers)
        """,
        _COUNTED,
    )
    return Backlog(*(row or (None, 0, None)))
