"""Brings a service's schema up to date: two roles, one schema, one transaction a file.

Needs a DSN whose role may create roles and schemas. Roles belong to the whole Postgres
cluster, everything else to the database, so services and databases may be migrated at the same
time.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from importlib.resources.abc import Traversable

import asyncpg

from shared.postgres.connecting import connect
from shared.postgres.connection import Connection
from shared.postgres.migration_lock import LockHeld, take_lock
from shared.postgres.pooler import refuse_transaction_pooler
from shared.runtime.discovery import service_packages

_RUNTIME_SETTINGS = {
    # No lock outlives its owner: a session that hangs is ended, one that waits gives up and tries
    # again.
    "idle_in_transaction_session_timeout": "5s",
    "lock_timeout": "5s",
    "statement_timeout": "15s",
    "tcp_keepalives_idle": "10s",
    "tcp_keepalives_interval": "5s",
    "tcp_keepalives_count": "3",
    # Plans are kept: one that was made while a table had ten pages would go on scanning all of it
    # as it grows.
    "enable_seqscan": "off",
    # Statements are few and planned for any value; planning anew each time cost more than running.
    "plan_cache_mode": "force_generic_plan",
    "jit": "off",
}
_ATTEMPTS = 20
LOCK_SECONDS = 600.0
"""How long it waits for another migration, unless told otherwise."""
OUTSIDE = "-- outside a transaction"
"""How a migration begins that must not run in a transaction."""


class MigrationError(Exception):
    """The schema cannot be brought to this version; the message names the file and the fix."""


@dataclass(frozen=True)
class Migration:
    """One SQL file; `name` is `<folder>/<file>`, as in the table of applied migrations.

    One that begins with OUTSIDE runs statement by statement, each of which ends its line, and can
    be run again after it was cut short. Building an index beside a running service needs that.
    """

    name: str
    sql: str

    @cached_property
    def checksum(self) -> str:
        """SHA-256 of the text, in hexadecimal digits."""
        return hashlib.sha256(self.sql.encode()).hexdigest()

    @property
    def statements(self) -> list[str]:
        """What runs outside a transaction; empty if it runs in one."""
        if not self.sql.startswith(OUTSIDE):
            return []
        return [part for part in self.sql.partition("\n")[2].split(";\n") if part.strip()]


def owner_role(service: str) -> str:
    """The role that owns the schema; nobody logs in as it."""
    return f"tocsin_{service}_owner"


def runtime_role(service: str) -> str:
    """The role that the service's processes log in as."""
    return f"tocsin_{service}"


def list_migrations(service: str) -> list[Migration]:
    """The files of the plumbing, then those of the service, each in order of their names."""
    return [
        *_read("plumbing", resources.files("shared.postgres") / "plumbing"),
        *_read(service, resources.files(service_packages()[service]) / "migrations"),
    ]


def names_of_migrations(service: str) -> list[str]:
    """What a service needs of its schema."""
    return [migration.name for migration in list_migrations(service)]


async def migrate(
    admin_dsn: str,
    service: str,
    migrations: Sequence[Migration] | None = None,
    *,
    lock_seconds: float = LOCK_SECONDS,
    tell: Callable[[str], None] = lambda _: None,
) -> list[str]:
    """Make the roles and the schema, apply what is missing and return the names applied.
    Idempotent.

    While another one migrates in this database, it waits for `lock_seconds`, and `tell` is told
    for whom. Raises MigrationError when that is over, when a file was changed after it was applied,
    when the database is newer than these files, or when a file fails (earlier files stay applied);
    one of UNAVAILABLE when Postgres cannot be reached.
    """
    wanted = list_migrations(service) if migrations is None else migrations
    await refuse_transaction_pooler(admin_dsn)
    connection: Connection = await connect(admin_dsn, f"tocsin {service} migrate")
    try:
        await take_lock(connection, lock_seconds, tell)
        await _make_roles(connection, service)
        await _make_schema(connection, service)
        pending = _pending(service, wanted, await _list_applied(connection))
        for migration in pending:
            await _apply(connection, migration)
        return [migration.name for migration in pending]
    except LockHeld as held:
        raise MigrationError(str(held)) from None
    finally:
        await connection.close()


def _read(folder: str, directory: Traversable) -> list[Migration]:
    if not directory.is_dir():
        return []
    files = sorted(
        (file for file in directory.iterdir() if file.name.endswith(".sql")),
        key=lambda file: file.name,
    )
    return [Migration(f"{folder}/{file.name}", file.read_text(encoding="utf-8")) for file in files]


def _pending(
    service: str, wanted: Sequence[Migration], applied: Mapping[str, str]
) -> list[Migration]:
    if unknown := sorted(applied.keys() - {migration.name for migration in wanted}):
        raise MigrationError(
            f"{unknown[0]} was applied to schema {service!r} and is not part of this version: "
            "the database is newer; run the version that brought the file, or a later one"
        )
    for migration in wanted:
        if applied.get(migration.name, migration.checksum) != migration.checksum:
            raise MigrationError(
                f"{migration.name} was changed after it was applied to schema {service!r}: "
                "put the file back as it was and make the change in a new file"
            )
    return [migration for migration in wanted if migration.name not in applied]


async def _list_applied(connection: Connection) -> dict[str, str]:
    return {
        row["name"]: row["checksum"]
        for row in await connection.fetch("SELECT * FROM schema_migrations")
    }


async def _apply(connection: Connection, migration: Migration) -> None:
    statements, left = migration.statements, "may have left a part behind; run `migrate` again"
    try:
        if statements:
            for statement in statements:
                await connection.execute(statement)
            await _note(connection, migration)
            return
        left = "left nothing behind"
        async with connection.transaction():
            await connection.execute(migration.sql)
            await _note(connection, migration)
    except asyncpg.PostgresError as error:
        raise MigrationError(f"{migration.name} failed and {left}: {error}") from error


async def _note(connection: Connection, migration: Migration) -> None:
    await connection.execute(
        "INSERT INTO schema_migrations (name, checksum) VALUES ($1, $2)",
        migration.name,
        migration.checksum,
    )


async def _make_roles(connection: Connection, service: str) -> None:
    """Both roles, the runtime role's settings, and the right to act as the owner."""
    for attempt in range(_ATTEMPTS):
        try:
            async with connection.transaction():
                await _ensure_role(connection, owner_role(service), login=False)
                await _ensure_role(connection, runtime_role(service), login=True)
                await _ensure_settings(
                    connection, runtime_role(service), {"search_path": service, **_RUNTIME_SETTINGS}
                )
                right = "SET" if connection.get_server_version() >= (16,) else "MEMBER"
                if not await connection.fetchval(
                    "SELECT pg_has_role($1, $2)", owner_role(service), right
                ):
                    await connection.execute(f"GRANT {owner_role(service)} TO CURRENT_USER")
                return
        except (
            asyncpg.DuplicateObjectError,
            asyncpg.UniqueViolationError,
            asyncpg.InternalServerError,
        ):
            # Another process, which migrates another database of the cluster, was quicker: the next
            # try finds what it made. (InternalServerError is "tuple concurrently updated".)
            if attempt == _ATTEMPTS - 1:
                raise


async def _ensure_role(connection: Connection, role: str, *, login: bool) -> None:
    if not await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", role):
        await connection.execute(f"CREATE ROLE {role} {'LOGIN' if login else 'NOLOGIN'}")


async def _ensure_settings(connection: Connection, role: str, settings: Mapping[str, str]) -> None:
    query = "SELECT rolconfig FROM pg_roles WHERE rolname = $1"
    present = await connection.fetchval(query, role) or []
    for name, value in settings.items():
        if f"{name}={value}" not in present:
            await connection.execute(f"ALTER ROLE {role} SET {name} = '{value}'")


async def _make_schema(connection: Connection, service: str) -> None:
    """The schema, its rights and the list of migrations; leaves the session acting as the schema's
    owner.
    """
    owner, runtime = owner_role(service), runtime_role(service)
    database = await connection.fetchval("SELECT quote_ident(current_database())")
    await connection.execute(
        f"""
        CREATE SCHEMA IF NOT EXISTS {service} AUTHORIZATION {owner};
        REVOKE ALL ON DATABASE {database} FROM PUBLIC;
        REVOKE ALL ON SCHEMA public FROM PUBLIC;
        GRANT CONNECT ON DATABASE {database} TO {runtime};
        SET ROLE {owner};
        SET search_path = {service};
        -- A migration that waits for a lock holds up everybody behind it.
        SET lock_timeout = '10s';
        CREATE TABLE IF NOT EXISTS schema_migrations (
            name       text        PRIMARY KEY,
            checksum   text        NOT NULL,
            applied_at timestamptz NOT NULL DEFAULT now()
        );
        GRANT USAGE ON SCHEMA {service} TO {runtime};
        -- For what migrations create from here on; for an append-only table they revoke some of it.
        ALTER DEFAULT PRIVILEGES IN SCHEMA {service}
            GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {runtime};
        ALTER DEFAULT PRIVILEGES IN SCHEMA {service} GRANT USAGE ON SEQUENCES TO {runtime};
        """
    )
    await connection.execute(f"GRANT SELECT ON schema_migrations TO {runtime}")
