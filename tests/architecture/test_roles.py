"""A compromised service can reach its own schema and nothing else."""

from collections.abc import AsyncIterator
from itertools import permutations

import asyncpg
import pytest

from tests.architecture.tree import services
from tests.support.stack import runtime_dsn


@pytest.fixture
async def admin(database: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    connection = await asyncpg.connect(database)
    yield connection
    await connection.close()


@pytest.mark.parametrize(("service", "other"), list(permutations(services(), 2)))
async def test_a_runtime_role_is_refused_in_every_other_schema(
    database: str, admin: "asyncpg.Connection[asyncpg.Record]", service: str, other: str
) -> None:
    tables = [
        row[0]
        for row in await admin.fetch("SELECT tablename FROM pg_tables WHERE schemaname = $1", other)
    ]
    assert {"offsets", "outbox", "timers", "installation"} < set(tables)
    connection = await asyncpg.connect(runtime_dsn(database, service))
    try:
        for table in tables:
            for statement in (
                "SELECT FROM {}",
                "DELETE FROM {}",
                "UPDATE {} SET id = id",
                "INSERT INTO {} DEFAULT VALUES",
            ):
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await connection.execute(statement.format(f"{other}.{table}"))
        for role in (f"tocsin_{other}", f"tocsin_{other}_owner"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(f"SET ROLE {role}")
    finally:
        await connection.close()


@pytest.mark.parametrize("service", services())
async def test_a_runtime_role_owns_nothing_and_may_create_nothing(
    admin: "asyncpg.Connection[asyncpg.Record]", service: str
) -> None:
    role = f"tocsin_{service}"

    reachable = await admin.fetch(
        "SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_'"
        " AND nspname <> 'information_schema' AND has_schema_privilege($1, oid, 'USAGE')",
        role,
    )
    may_create = await admin.fetch(
        "SELECT nspname FROM pg_namespace WHERE has_schema_privilege($1, oid, 'CREATE')", role
    )
    owned = await admin.fetch(
        "SELECT relname FROM pg_class JOIN pg_roles r ON relowner = r.oid WHERE rolname = $1", role
    )
    attributes = await admin.fetchrow(
        "SELECT rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls "
        "AS powers,"
        " EXISTS (SELECT FROM pg_auth_members WHERE member = oid) AS membership"
        " FROM pg_roles WHERE rolname = $1",
        role,
    )

    assert [row[0] for row in reachable] == [service]
    assert not may_create
    assert not owned
    assert attributes is not None
    assert (attributes["powers"], attributes["membership"]) == (False, False)
