"""Refuses a pooler that gives each transaction another session of the server.

Leadership, notifications and prepared statements belong to a session. Through such a pooler they
would seem to work, until two relays lead at once, so it is found out before any work begins.
"""

import asyncpg

from shared.postgres.connecting import WatchedConnection, connect

_ROUNDS = 3
_PATIENCE_SECONDS = 4.0
_ADVICE = (
    "the pooler in front of Postgres gives each transaction another session; leadership, "
    "notifications and prepared statements need one that lasts: set pool_mode = session for this "
    "user, or connect to the server itself"
)
_SIGNS = (
    asyncpg.InvalidSQLStatementNameError,  # what was prepared is in another session
    asyncpg.DuplicatePreparedStatementError,
)


class TransactionPooler(ConnectionError):
    """There is such a pooler; the text says what to do. It may be corrected while we wait."""

    def __init__(self) -> None:
        super().__init__(_ADVICE)


async def refuse_transaction_pooler(dsn: str) -> None:
    """Raises TransactionPooler, or one of UNAVAILABLE."""
    try:
        connection = await _connect(dsn)
        try:
            # A pooler tells its clients pids of its own.
            if connection.backend != connection.get_server_pid():
                for _ in range(_ROUNDS):
                    await _require_session(dsn, connection)
        finally:
            connection.terminate()
    except _SIGNS:
        raise TransactionPooler from None
    except asyncpg.PostgresConnectionError as error:
        if "pooling mode" in str(error):  # it does not even allow transactions
            raise TransactionPooler from None
        raise


async def _require_session(dsn: str, first: WatchedConnection) -> None:
    """While another client is in a transaction, the first keeps its session, and shares it with
    nobody.
    """
    second = await _connect(dsn)
    try:
        async with second.transaction():
            taken = await second.fetchval("SELECT pg_backend_pid()")
            kept = await first.fetchval("SELECT pg_backend_pid()")
    finally:
        second.terminate()
    if taken == first.backend or kept != first.backend:
        raise TransactionPooler


async def _connect(dsn: str) -> WatchedConnection:
    return await connect(dsn, "tocsin pooler check", command_timeout=_PATIENCE_SECONDS)
