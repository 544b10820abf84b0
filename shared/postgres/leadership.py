"""One leader at a time, by a session lock that ends with the leader's own connection.

Every role of a database can take any advisory lock, so holding one proves nothing. A leader holds
the lock whose number stands in the service's own table, where no other service can write; the
number is new and random for each leader, so that nobody can hold it before.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from shared.postgres.connecting import connect
from shared.postgres.connection import Connection
from shared.postgres.database import prepare
from shared.postgres.wake import wait_at_most

PING_SECONDS = 1.0
_IDLE_TIMEOUT = "5s"
_RETRY_SECONDS = 0.25
_COMMAND_SECONDS = 4.0

# A lock that stands in the table counts only while one holds it who could have put it there.
_HAS_LEADER = """
    SELECT EXISTS (
        SELECT FROM leaders
        JOIN pg_locks ON locktype = 'advisory' AND granted AND objsubid = 1
            AND classid::bigint = (lock >> 32) AND objid::bigint = (lock & 4294967295)
        JOIN pg_database ON pg_database.oid = pg_locks.database AND datname = current_database()
        JOIN pg_stat_activity ON pg_stat_activity.pid = pg_locks.pid
        WHERE role = $1 AND has_table_privilege(usesysid, 'leaders'::regclass, 'UPDATE')
    )
"""


@dataclass(frozen=True, slots=True)
class Leadership:
    """Held while `connection` is open, which the server keeps open while there is a query on it
    every PING_SECONDS or so.

    `woken` is set by notifications and when the connection is lost; clear it before querying.
    """

    connection: Connection
    woken: asyncio.Event = field(default_factory=asyncio.Event)

    async def wait(self) -> None:
        """Wait until woken, or until it is time for another query."""
        await wait_at_most(PING_SECONDS, self.woken)


@asynccontextmanager
async def compete(dsn: str, role: str, channel: str) -> AsyncIterator[Leadership]:
    """Wait until this process is the leader for `role` in its schema, and listen on `channel` from
    then on.

    Raises one of UNAVAILABLE. The server ends the session of a leader that is frozen, but the
    leader learns of it only when it goes on: what it does elsewhere must be harmless then, or
    fenced.
    """
    connection: Connection = await connect(dsn, role, command_timeout=_COMMAND_SECONDS)
    try:
        # By a statement: a pooler refuses it as a parameter of the connection.
        await connection.execute(f"SET idle_session_timeout = '{_IDLE_TIMEOUT}'")
        await prepare(connection)
        # Polled: a session that waits for a lock holds a snapshot, which would hold up VACUUM.
        while not await _take_lead(connection, role):  # noqa: ASYNC110
            await asyncio.sleep(_RETRY_SECONDS)
        leadership = Leadership(connection)
        connection.add_termination_listener(lambda _: leadership.woken.set())
        await connection.add_listener(channel, lambda *_: leadership.woken.set())
        yield leadership
    finally:
        connection.terminate()


async def has_leader(connection: Connection, role: str) -> bool:
    """Whether a live session leads."""
    led: bool = await connection.fetchval(_HAS_LEADER, role)
    return led


async def _take_lead(connection: Connection, role: str) -> bool:
    """Lead if nobody does. Whoever dies before the commit has not led; after it, its session ends
    and with that the lock.
    """
    if await has_leader(connection, role):
        return False
    async with connection.transaction():
        # One after the other: the second sees what the first has done.
        await connection.execute(
            """
            INSERT INTO leaders (role, lock) VALUES ($1, 0)
            ON CONFLICT (role) DO UPDATE SET lock = leaders.lock
            """,
            role,
        )
        if await has_leader(connection, role):
            return False
        lock = secrets.randbits(63)
        # Before the number can be read anywhere; it belongs to the session, not to the transaction.
        taken: bool = await connection.fetchval("SELECT pg_try_advisory_lock($1)", lock)
        await connection.execute("UPDATE leaders SET lock = $2 WHERE role = $1", role, lock)
    return taken
