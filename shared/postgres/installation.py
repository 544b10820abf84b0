"""The identity of the database, and the epoch, by which one that was put back to an earlier state
hands out no sequence twice.
"""

import logging

from shared.postgres.connection import Connection

log = logging.getLogger(__name__)
EPOCH = "(SELECT epoch FROM installation)"
"""`load_epoch` as a scalar subquery, for a statement that reads the rows of a batch anyway."""


async def load_epoch(connection: Connection) -> int:
    """The high bits of every sequence that this service hands out now."""
    epoch: int = await connection.fetchval("SELECT epoch FROM installation")
    return epoch


async def raise_epoch(connection: Connection) -> int:
    """Start sequences above all handed out before; returns the new epoch. Locks the row."""
    epoch: int = await connection.fetchval(
        "UPDATE installation SET epoch = epoch + 1 RETURNING epoch"
    )
    return epoch


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
        """
        UPDATE installation SET identity = $1, epoch = epoch + (identity IS NOT NULL)::int
        WHERE identity IS DISTINCT FROM $1 RETURNING epoch
        """,
        identity,
    )
    if epoch:
        log.warning(
            "the database was restored or failed over: epoch raised", extra={"epoch": epoch}
        )
