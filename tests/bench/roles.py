"""The settings of PostgreSQL's roles: all databases of a server share them, and so do two versions.

A version's `migrate` sets them, and leaves alone those that another version has set. So each
version's settings are read when its database is made, and are put back before each of its runs.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import asyncpg

Roles = Mapping[str, Sequence[str]]
"""For each role its settings, each as `name=value`."""
_LISTS = ("search_path",)
"""Settings whose values are lists: PostgreSQL has quoted their parts already."""


async def read_roles(admin_dsn: str) -> Roles:
    """The settings of all roles of Tocsin."""
    query = "SELECT rolname, rolconfig FROM pg_roles WHERE starts_with(rolname, 'tocsin_')"
    connection: asyncpg.Connection[Any] = await asyncpg.connect(admin_dsn)
    try:
        rows = await connection.fetch(query)
    finally:
        await connection.close()
    return {row["rolname"]: row["rolconfig"] or [] for row in rows}


async def set_roles(admin_dsn: str, roles: Roles) -> None:
    """Give roles these settings and no others."""
    connection: asyncpg.Connection[Any] = await asyncpg.connect(admin_dsn)
    try:
        async with connection.transaction():
            for statement in statements(roles):
                await connection.execute(statement)
    finally:
        await connection.close()


def statements(roles: Roles) -> Iterator[str]:
    """The SQL of `set_roles`."""
    for role, settings in roles.items():
        yield f"ALTER ROLE {role} RESET ALL"
        for setting in settings:
            name, _, value = setting.partition("=")
            yield f"ALTER ROLE {role} SET {name} = {value if name in _LISTS else _quoted(value)}"


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
