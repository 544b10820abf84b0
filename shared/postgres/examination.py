"""What a service's database says about the state of the service."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from shared.policy.retention import FILE as RETENTION_FILE
from shared.postgres.backlog import Backlog, load_backlog
from shared.postgres.connecting import connect
from shared.postgres.connection import Connection
from shared.postgres.database import prepare
from shared.postgres.leadership import has_leader
from shared.postgres.relay import relay_role
from shared.postgres.replicas import Replica, list_replicas
from shared.postgres.saved_policies import load_saved_policy


@dataclass(frozen=True, slots=True)
class Archive:
    """How the server's archive of write-ahead log fares; times are None where it never happened."""

    enabled: bool
    archived_at: datetime | None
    failed_at: datetime | None


@dataclass(frozen=True, slots=True)
class DatabaseState:
    """`applied` has the checksum of each applied migration. `now` is by the database's clock. `led`
    is whether a relay leads. `offsets` are the rows of the consumption by topic (without prefix)
    and partition. `bytes` is the size of the database, `stored` that of all databases in its
    tablespace, `log` how much write-ahead log the server keeps beside them unless it has to keep
    more; `server` identifies it. `retention_policy` is the text of retention.yaml in force.
    """

    version: str
    applied: Mapping[str, str]
    now: datetime
    writable: bool
    backlog: Backlog
    led: bool
    replicas: Sequence[Replica]
    retention_finished_at: datetime | None
    retention_due_at: datetime
    offsets: Mapping[tuple[str, int], int]
    bytes: int
    stored: int
    log: int
    server: str
    retention_policy: str
    archive: Archive


@asynccontextmanager
async def examining(dsn: str) -> AsyncIterator[Connection]:
    """A connection that sees one state of the database and can change nothing, not even what every
    service notes when it connects.
    """
    connection: Connection = await connect(dsn, "tocsin doctor", command_timeout=5)
    try:
        await prepare(connection)
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            yield connection
    finally:
        connection.terminate()


async def load_applied(connection: Connection) -> dict[str, str]:
    """The checksum of each applied migration by its name; empty where there is no schema."""
    try:
        rows = await connection.fetch("SELECT name, checksum FROM schema_migrations")
    except (asyncpg.UndefinedTableError, asyncpg.InsufficientPrivilegeError):
        return {}  # never migrated, or by a version that did not let the service read it
    return {row["name"]: row["checksum"] for row in rows}


async def load_state(
    connection: Connection, service: str, applied: Mapping[str, str]
) -> DatabaseState:
    """Of a database whose schema is up to date. Raises one of UNAVAILABLE."""
    row = await connection.fetchrow(
        """
        SELECT current_setting('server_version') AS version, clock_timestamp() AS now,
               NOT pg_is_in_recovery() AS writable, finished_at, due_at,
               pg_database_size(current_database()) AS bytes,
               -- Of its own tablespace every role may know the size.
               pg_tablespace_size(database.dattablespace) AS stored,
               pg_size_bytes(current_setting('max_wal_size')) AS log,
               (SELECT system_identifier::text FROM pg_control_system()) AS server,
               current_setting('archive_mode') <> 'off' AS archiving,
               last_archived_time, last_failed_time
        FROM retention, pg_stat_archiver, pg_database AS database
        WHERE database.datname = current_database()
        """
    )
    assert row is not None  # noqa: S101 - all have one row
    offsets = await connection.fetch('SELECT topic, "partition", next_offset FROM offsets')
    return DatabaseState(
        version=row["version"],
        applied=applied,
        now=row["now"],
        writable=row["writable"],
        backlog=await load_backlog(connection),
        led=await has_leader(connection, relay_role(service)),
        replicas=await list_replicas(connection),
        retention_finished_at=row["finished_at"],
        retention_due_at=row["due_at"],
        offsets={(one["topic"], one["partition"]): one["next_offset"] for one in offsets},
        bytes=row["bytes"],
        stored=row["stored"],
        log=row["log"],
        server=row["server"],
        retention_policy=await load_saved_policy(connection, RETENTION_FILE) or "",
        archive=Archive(row["archiving"], row["last_archived_time"], row["last_failed_time"]),
    )
