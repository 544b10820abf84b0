"""The versions of Tocsin that a run measures, each with a database that it has migrated itself."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from tests.bench.roles import Roles, read_roles, set_roles
from tests.support.running import SERVICES
from tests.support.stack import drop_database, name_of, new_database
from tests.support.version import Version


@dataclass(frozen=True, slots=True)
class Candidate:
    """A version to measure: its name in the figures, and the database that its runs get a copy of.

    `roles` are the settings of PostgreSQL's roles with which it runs.
    """

    name: str
    version: Version
    template: str
    roles: Roles = field(default_factory=dict)


@asynccontextmanager
async def candidates(
    postgres: str, versions: Mapping[str, Version]
) -> AsyncIterator[Sequence[Candidate]]:
    """A candidate for each version, in order; their databases are dropped after the block."""
    async with AsyncExitStack() as stack:
        made = []
        for name, version in versions.items():
            # What one version has set for the roles must not show up as set by the next.
            await set_roles(postgres, dict.fromkeys(await read_roles(postgres), ()))
            made.append(await stack.enter_async_context(candidate(postgres, name, version)))
        yield made


@asynccontextmanager
async def candidate(postgres: str, name: str, version: Version) -> AsyncIterator[Candidate]:
    """A version with a database that its own `migrate` has made ready."""
    template = await new_database(postgres)
    try:
        for service in SERVICES:
            await version.run(service, "migrate", TOCSIN_POSTGRES_ADMIN=template)
        yield Candidate(name, version, name_of(template), await read_roles(postgres))
    finally:
        await drop_database(postgres, name_of(template))
