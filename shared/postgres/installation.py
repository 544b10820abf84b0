"""The identity of the database, and the epoch, by which one that was put back to an earlier state
hands out no sequence twice.
"""

import logging
from datetime import datetime

from shared.postgres.connection import Connection

log = logging.getLogger(__name__)
EPOCH = "(SELECT epoch FROM installation)"
"""`load_epoch` as a scalar subquery, for a statement that reads the rows of a batch anyway."""


async def load_epoch(connection: Connection) -> int:
    """The high bits of every sequence that this service hands out now."""
    epoch: int = await connection.fetchval("SELECT epoch FROM installation")
    return epoch


# Retention raises the epoch at most once in 31 days: what it did since the state that was put back
# is counted in. Small numbers, so that sequences stay below 2^53, which every reader of JSON knows.
_ABOVE_ALL = """
    epoch + 1 + greatest(0, extract(epoch FROM now() - raised_at)::bigint / (31 * 86400))
"""

_RAISE = f"""
    UPDATE installation SET epoch = {_ABOVE_ALL}, raised_at = now() RETURNING epoch
"""  # noqa: S608


async def raise_epoch(connection: Connection) -> int:
    """Start sequences above all handed out before; returns the new epoch. Locks the row."""
    epoch: int = await connection.fetchval(_RAISE)
    return epoch


async def raise_epoch_since(connection: Connection, since: datetime) -> None:
    """Start sequences above all handed out before `since`, which lies 31 days back or more. Does
    nothing where that has been done after it.
    """
    await connection.execute(
        "UPDATE installation SET epoch = epoch + 1, raised_at = now() WHERE raised_at < $1", since
    )


async def check_identity(connection: Connection) -> None:
    """Compare the database with the one seen last, and raise the epoch when it was restored or
    failed over.

    A restore into another database or cluster changes the identity, a point-in-time recovery and a
    failover start a new timeline. What changes neither (a disk put back) shows as a Kafka commit
    ahead of the offsets.
    """
    # The timeline comes from the WAL file's name: the control file has it from the next checkpoint
    # on only.
    identity = await connection.fetchval(
        """
        SELECT concat_ws(
            '/', system_identifier, left(pg_walfile_name(pg_current_wal_lsn()), 8), database.oid
        )
        FROM pg_control_system(), pg_database AS database WHERE datname = current_database()
        """
    )
    # Replicas that start together wait here for each other: one raises, the others find it done.
    epoch = await connection.fetchval(
        f"""
        UPDATE installation SET identity = $1, raised_at = now(),
            epoch = CASE WHEN identity IS NULL THEN epoch ELSE {_ABOVE_ALL} END
        WHERE identity IS DISTINCT FROM $1 RETURNING epoch
        """,  # noqa: S608
        identity,
    )
    if epoch:
        log.warning(
            "the database was restored or failed over: epoch raised", extra={"epoch": epoch}
        )
