"""The servers of the whole test run, and what each test has for itself on them."""

import uuid
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.support import containers, fuzzing, stack
from tests.support.secured_kafka import SecuredKafka, secured_kafka_server
from tests.support.version import THIS, Version

IN_CONTAINERS = ("tests/contract/", "tests/e2e/test_story.py", "tests/e2e/test_images.py")
"""The tests that `--stack=containers` runs."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--stack",
        choices=("local", "containers"),
        default="local",
        help="containers: the images of Tocsin, with Kafka and PostgreSQL in containers",
    )


def pytest_configure(config: pytest.Config) -> None:
    if not config.getoption("--hypothesis-profile"):
        fuzzing.take_short()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--stack") == "containers":
        others = [item for item in items if not item.nodeid.startswith(IN_CONTAINERS)]
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item not in others]


@pytest.fixture(scope="session")
def in_containers(request: pytest.FixtureRequest) -> bool:
    """Whether servers and services run in containers."""
    return bool(request.config.getoption("--stack") == "containers")


@pytest.fixture(scope="session")
def version(in_containers: bool) -> Iterator[Version]:
    """The Tocsin under test: this checkout, or its images."""
    if not in_containers:
        yield THIS
        return
    with containers.containerised() as images:
        yield images


@pytest.fixture(scope="session")
def kafka(in_containers: bool) -> Iterator[str]:
    """Bootstrap address (host:port) of the run's broker."""
    with containers.kafka_container() if in_containers else stack.kafka_server() as bootstrap:
        yield bootstrap


@pytest.fixture(scope="session")
def broker() -> Iterator[SecuredKafka]:
    """The run's broker with TLS, SASL and an authorizer. Every test has its own topic prefix."""
    with secured_kafka_server() as server:
        yield server


@pytest.fixture(scope="session")
def postgres(in_containers: bool) -> Iterator[str]:
    """Admin DSN of the run's server; tests work in `database`."""
    with containers.postgres_container() if in_containers else stack.postgres_server() as dsn:
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
