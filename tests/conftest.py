"""The servers that the whole run shares, and what each test has of its own on them."""

import uuid
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.support import stack


@pytest.fixture(scope="session")
def kafka() -> Iterator[str]:
    """Bootstrap address (host:port) of the run's broker."""
    with stack.kafka_server() as bootstrap:
        yield bootstrap


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """Admin DSN of the run's server; for a database to work in, take `database`."""
    with stack.postgres_server() as dsn:
        yield dsn


@pytest.fixture(scope="session")
def template(postgres: str) -> Iterator[str]:
    """Name of the database that `database` is cloned from: all services, migrated, empty."""
    with stack.template_database(postgres) as name:
        yield name


@pytest.fixture
async def database(postgres: str, template: str) -> AsyncIterator[str]:
    """Admin DSN of a database of this test's own; a service's own DSN is this with its runtime role
    as the user.
    """
    dsn = await stack.clone_database(postgres, template)
    yield dsn
    await stack.drop_database(postgres, stack.name_of(dsn))


@pytest.fixture
def topic_prefix() -> str:
    """Put before the names of topics and consumer groups, so that tests do not see each other."""
    return f"t{uuid.uuid4().hex[:8]}."
