"""One leader at a time, by a lock that ends with the leader's own connection."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import asyncpg

from shared.postgres.connection import Connection
from shared.postgres.database import prepare
from shared.postgres.wake import wait_at_most

PING_SECONDS = 1.0
_SILENCE = "5s"
_RIVAL_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Leadership:
    """Held for as long as `connection` lives, which it does while something is asked on it every
    PING_SECONDS or so.

    `woken` is set by notifications and when the connection is lost; whoever waits for it clears it
    before looking.
    """

    connection: Connection
    woken: asyncio.Event = field(default_factory=asyncio.Event)

    async def wait(self) -> None:
        """Until woken, or until it is time to ask something again."""
        await wait_at_most(PING_SECONDS, self.woken)


@asynccontextmanager
async def compete(dsn: str, role: str, channel: str) -> AsyncIterator[Leadership]:
    """Wait until this process is the leader for `role` in the database, and listen on `channel`
    from then on.

    Needs a direct DSN: a pooler breaks session locks and LISTEN. Raises one of UNAVAILABLE. A
    leader that is frozen loses its session to the server after a few seconds, so what it does to
    others must be fenced there as well.
    """
    connection: Connection = await asyncpg.connect(
        dsn,
        timeout=5,
        command_timeout=5,
        server_settings={"application_name": role, "idle_session_timeout": _SILENCE},
    )
    try:
        await prepare(connection)
        # Asked again and again: a session that waits for a lock has a snapshot, which VACUUM would
        # wait for as well.
        while not await connection.fetchval("SELECT pg_try_advisory_lock(hashtext($1))", role):  # noqa: ASYNC110
            await asyncio.sleep(_RIVAL_SECONDS)
        leadership = Leadership(connection)
        connection.add_termination_listener(lambda _: leadership.woken.set())
        await connection.add_listener(channel, lambda *_: leadership.woken.set())
        yield leadership
    finally:
        connection.terminate()
