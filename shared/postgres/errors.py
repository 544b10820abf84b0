"""Which errors of Postgres are worth another try."""

import ssl

import asyncpg

from shared.postgres.pooler import TransactionPooler


class SchemaBehind(Exception):
    """The schema lacks migrations that this program needs; the text names the first of them and the
    command that applies it.
    """


UNAVAILABLE = (
    OSError,  # includes TimeoutError and ConnectionError
    asyncpg.InterfaceError,  # a connection that was closed under us
    asyncpg.InternalClientError,  # the same, if the last message and the close come at once
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
    SchemaBehind,
    asyncpg.UndefinedTableError,  # the same, on a connection that does not check it
    asyncpg.UndefinedColumnError,
    asyncpg.InsufficientPrivilegeError,  # `migrate` is about to grant it
)
"""Errors that are not about the item being processed: try again later, dead-letter nothing."""


MISCONFIGURED = (
    SchemaBehind,
    TransactionPooler,
    asyncpg.ClientConfigurationError,
    asyncpg.InvalidAuthorizationSpecificationError,
    FileNotFoundError,
    PermissionError,
    ssl.SSLError,
)
"""Those whose text says what to correct in DSN, files or schema, and holds no secret."""

DEADLOCK = asyncpg.TransactionRollbackError
"""A deadlock or a serialisation failure: the same transaction may well succeed when run again."""


class Conflict(Exception):
    """Another transaction won a race (a unique key, say): roll back and run the same work again."""
