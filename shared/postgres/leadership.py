"""One leader at a time, by a session lock that ends with the leader's own connection."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import asyncpg

from shared.postgres.connection import Connection
from shared.postgres.database import prepare
from shared.postgres.wake import wait_at_most

PING_SECONDS = 1.0
_IDLE_TIMEOUT = "5s"
_RETRY_SECONDS = 0.25


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
    """Wait until this process is the leader for `role` in the database, and listen on `channel`
    from then on.

    Needs a direct DSN: a transaction pooler breaks session locks and LISTEN. Raises one of
    UNAVAILABLE. The server ends the session of a leader that is frozen, but the leader learns of it
    only when it goes on: what it does elsewhere must be harmless then, or fenced.
    """
    connection: Connection = await asyncpg.connect(
        dsn,
        timeout=5,
        command_timeout=5,
        server_settings={"application_name": role, "idle_session_timeout": _IDLE_TIMEOUT},
    )
    try:
        await prepare(connection)
        # Polled: a session that waits for a lock holds a snapshot, which would hold up VACUUM.
        lock = "SELECT pg_try_advisory_lock(hashtext($1))"
        while not await connection.fetchval(lock, role):  # noqa: ASYNC110
            await asyncio.sleep(_RETRY_SECONDS)
        leadership = Leadership(connection)
        connection.add_termination_listener(lambda _: leadership.woken.set())
        await connection.add_listener(channel, lambda *_: leadership.woken.set())
        yield leadership
    finally:
        connection.terminate()
