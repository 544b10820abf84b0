"""Whether a schema has what a program needs: programs and migrations may start in any order.

A schema that has more is fine: a newer version has migrated it, and this one is about to be
replaced.
"""

from collections.abc import Collection

import asyncpg

from shared.postgres.connection import Connection
from shared.postgres.errors import SchemaBehind


async def check_schema(connection: Connection, needed: Collection[str]) -> None:
    """Raises SchemaBehind when one of the migrations `needed` (by name) is not applied."""
    try:
        applied = {row[0] for row in await connection.fetch("SELECT name FROM schema_migrations")}
    except (asyncpg.UndefinedTableError, asyncpg.InsufficientPrivilegeError):
        applied = set()
    if missing := sorted(set(needed) - applied):
        raise SchemaBehind(
            f"the schema waits for {len(missing)} migrations, {missing[0]} first: run `migrate`"
        )
