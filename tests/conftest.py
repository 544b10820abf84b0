"""The servers of the whole test run, and what each test has for itself on them."""

import uuid
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.support import stack
from tests.support.secured_kafka import SecuredKafka, secured_kafka


@pytest.fixture(scope="session")
def kafka() -> Iterator[str]:
    """Bootstrap address (host:port) of the run's broker."""
    with stack.kafka_server() as bootstrap:
        yield bootstrap


@pytest.fixture(scope="session")
def secured() -> Iterator[SecuredKafka]:
    """The run's broker with TLS, SASL and an authorizer. Every test has its own topic prefix."""
    with secured_kafka() as broker:
        yield broker


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """Admin DSN of the run's server; tests work in `database`."""
    with stack.postgres_server() as dsn:
        yield dsn


@pytest.fixture(scope="session")
def template(postgres: str) -> Iterator[str]:
    """Name of the database that `database` is cloned from: all services, migrated, empty."""
    with stack.template_database(postgres) as name:
        yield name


@pytest.fixture
async def database(postgres: str, template: str) -> AsyncIterator[str]:
    """Admin DSN of a database of this test's own. A service's DSN has its runtime role as the user
    instead.
    """
    dsn = await stack.clone_database(postgres, template)
    yield dsn
    await stack.drop_database(postgres, stack.name_of(dsn))


@pytest.fixture
def topic_prefix() -> str:
    """Prefix of topics and consumer groups that keeps tests apart."""
    return f"t{uuid.uuid4().hex[:8]}."
