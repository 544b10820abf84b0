"""Postgres: one pool per process, one transaction per batch of work."""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import Any
from weakref import WeakSet

import asyncpg
import orjson
from asyncpg.pool import PoolConnectionProxy

from shared.postgres.clock import DatabaseClock
from shared.postgres.connecting import WatchedConnection, connect
from shared.postgres.connection import Connection
from shared.postgres.errors import UNAVAILABLE
from shared.postgres.installation import check_identity
from shared.postgres.liveness import Liveness, end_connections
from shared.postgres.migrate import names_of_migrations
from shared.postgres.pooler import refuse_transaction_pooler
from shared.postgres.schema import check_schema
from shared.telemetry import measured_on_success

_MAX_CONNECTIONS = 8
_MAX_READY = 4
_ACQUIRE_SECONDS = 4
_RELEASE_SECONDS = 1
_COMMAND_SECONDS = 30


class Database:
    """A pool whose connections use the service's own schema (the runtime role's search_path) and
    read and write jsonb as Python objects. `clock` is the database's.

    While the schema lacks one of the migrations in `needs`, by name, it counts as unavailable.
    """

    def __init__(
        self, dsn: str, *, application: str = "tocsin", needs: Collection[str] = ()
    ) -> None:
        self.dsn = dsn
        self.clock = DatabaseClock()
        self._application = application
        self._needs = needs
        self._pool: asyncpg.Pool[Any] | None = None
        self._opening = asyncio.Lock()
        self._ready: list[PoolConnectionProxy[Any]] = []
        self._connections: WeakSet[WatchedConnection] = WeakSet()
        self._watching: asyncio.Task[None] | None = None

    @classmethod
    def of_service(cls, dsn: str, service: str) -> "Database":
        """That of a running service, which needs all migrations that this program has for it."""
        needs = names_of_migrations(service)
        return cls(dsn, application=f"tocsin-{service}", needs=needs)

    async def open(self) -> None:
        """Connect; raises one of UNAVAILABLE when Postgres cannot be reached."""
        async with self._opening:
            if self._pool is None:
                await refuse_transaction_pooler(self.dsn)
                self._pool = await asyncpg.create_pool(
                    connect=self._connect,
                    connection_class=WatchedConnection,
                    min_size=1,
                    max_size=_MAX_CONNECTIONS,
                    init=self._begin_session,
                    reset=_keep_session,
                )
                liveness = Liveness(self.dsn, lambda: list(self._connections))
                self._watching = asyncio.create_task(liveness.run(), name="liveness")

    async def close(self) -> None:
        """Close all connections; those that are busy for 5 s more are terminated."""
        pool, self._pool = self._pool, None
        if pool is not None:
            try:
                async with asyncio.timeout(5):
                    while self._ready:
                        await _give_back(pool, self._ready.pop())
                    await pool.close()
            except TimeoutError:
                pool.terminate()
        if self._watching is not None:
            self._watching.cancel()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A pooled connection outside a transaction (reads)."""
        if self._pool is None:
            await self.open()
        assert self._pool is not None  # noqa: S101 - narrowed for the type checker
        pool, connection = self._pool, await self._take(self._pool)
        try:
            yield connection
        except BaseException as error:
            if isinstance(error, asyncpg.ReadOnlySQLTransactionError):
                # The primary has become a standby: all go to where the new one is.
                connection.terminate()
                end_connections(list(self._connections))
            await _give_back(pool, connection)
            raise
        if self._pool is pool and len(self._ready) < _MAX_READY:
            self._ready.append(connection)
        else:
            await _give_back(pool, connection)

    async def _take(self, pool: "asyncpg.Pool[Any]") -> "PoolConnectionProxy[Any]":
        # What was used last is kept at hand: asyncpg starts a task to hand a connection out, and
        # another to take it back, which together cost as much as a statement.
        while self._ready:
            connection = self._ready.pop()
            with suppress(asyncpg.InterfaceError):  # it was ended, which gave it back
                if not connection.is_closed():
                    return connection
                await pool.release(connection)
        async with asyncio.timeout(_ACQUIRE_SECONDS):
            return await pool.acquire()

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Connection]:
        """A pooled connection in a read-only transaction: all queries see the same state."""
        async with (
            self.connection() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            yield connection

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A pooled connection in a READ COMMITTED transaction; any exception rolls it back."""
        with measured_on_success():
            async with self.connection() as connection, connection.transaction():
                yield connection

    async def read_clock(self, connection: Connection) -> None:
        """Ask what time it is in the database, for `clock`."""

        async def ask() -> datetime:
            reading: datetime = await connection.fetchval("SELECT clock_timestamp()")
            return reading

        await self.clock.read(ask)

    async def _connect(self, *_: Any, **__: Any) -> WatchedConnection:
        connection = await connect(self.dsn, self._application, command_timeout=_COMMAND_SECONDS)
        self._connections.add(connection)
        return connection

    async def _begin_session(self, connection: Connection) -> None:
        try:
            await prepare(connection)
            await self.read_clock(connection)
            if self._needs:
                await check_schema(connection, self._needs)
            # With every new connection, not once per process: a database can be put back under
            # services that keep running.
            await check_identity(connection)
        except BaseException:
            connection.terminate()  # asyncpg would wait for a server that may be gone
            raise


async def prepare(connection: Connection) -> None:
    """Let a connection read and write jsonb as Python objects, dataclasses, times and UUIDs
    (asyncpg's own too) included.
    """
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        encoder=lambda value: orjson.dumps(value, default=str).decode(),
        decoder=orjson.loads,
    )


async def _keep_session(_: Connection) -> None:
    """No RESET between uses: it costs a round trip, and nothing here changes session state."""


async def _give_back(pool: "asyncpg.Pool[Any]", connection: "PoolConnectionProxy[Any]") -> None:
    """A statement that was broken off is cancelled on the server, which may be gone."""
    with suppress(*UNAVAILABLE):
        await pool.release(connection, timeout=_RELEASE_SECONDS)
