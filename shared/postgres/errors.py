"""Which errors of Postgres are worth another try, and the one that asks for it."""

import asyncpg

UNAVAILABLE = (
    OSError,  # includes TimeoutError and ConnectionError
    asyncpg.InterfaceError,  # a connection that was closed under us
    asyncpg.InternalClientError,  # the same, when the server's last word and the close are read at once
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,  # shutdown, cancelled, crash
    asyncpg.InsufficientResourcesError,
    asyncpg.CannotConnectNowError,
    asyncpg.TransactionRollbackError,  # deadlock, serialisation: try again
    asyncpg.LockNotAvailableError,
    asyncpg.QueryCanceledError,  # statement timeout
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.ReadOnlySQLTransactionError,  # a primary that has become a standby
    asyncpg.InvalidCatalogNameError,  # the database is being restored
    asyncpg.ObjectNotInPrerequisiteStateError,  # it accepts no connections, for the restore
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.PostgresSystemError,  # the server cannot read or write its files
    asyncpg.InvalidCachedStatementError,  # a migration changed what a prepared statement returns
)
"""Errors that say nothing about the message in hand: the work is tried again later, nothing is
dead-lettered.
"""


DEADLOCK = asyncpg.TransactionRollbackError
"""A deadlock or a serialisation failure: the same transaction may well succeed when run again."""


class Conflict(Exception):
    """Another transaction won a race (a unique key, say): roll back and run the same work again."""
