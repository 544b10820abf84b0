"""One Kafka and one PostgreSQL server for the whole test run, or those that the environment
names.
"""

import asyncio
import os
import pkgutil
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg

import services
from deploy.local import jars, ports
from deploy.local.kafka import Kafka
from deploy.local.paths import JARS
from deploy.local.polling import wait_for
from deploy.local.postgres import THROWAWAY, Postgres, temporary_home
from shared.postgres.migrate import migrate

PATIENCE_SECONDS = 120.0
"""How long tests wait for a condition: long enough for a busy machine, free for tests that pass."""


def until(condition: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> None:
    """Return when the condition holds; fail the test when it does not in time."""
    assert wait_for(condition, seconds, every=0.02), f"condition not met within {seconds:g} s"


@contextmanager
def kafka_server() -> Iterator[str]:
    """Bootstrap address of a broker: TOCSIN_TEST_KAFKA, or a new one that is stopped after the
    block.
    """
    if given := os.environ.get("TOCSIN_TEST_KAFKA"):
        yield given
        return
    home = Path(tempfile.mkdtemp(prefix="tocsin-kafka-"))
    broker = Kafka(jars.fetch(JARS), home, home / "kafka.log", *ports.choose(2))
    try:
        broker.start()
        yield broker.bootstrap
    finally:
        broker.stop()
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def postgres_server(settings: Mapping[str, str] = THROWAWAY) -> Iterator[str]:
    """Admin DSN of a server: TOCSIN_TEST_POSTGRES (a superuser's), or a new one that is stopped
    after the block.
    """
    if given := os.environ.get("TOCSIN_TEST_POSTGRES"):
        yield given
        return
    home = temporary_home()
    logs = Path(tempfile.mkdtemp(prefix="tocsin-postgres-log-"))
    server = Postgres(home, logs / "postgres.log", settings)
    try:
        server.start()
        yield server.dsn()
    finally:
        server.stop()
        for folder in (home, logs, server.socket):
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def template_database(admin_dsn: str) -> Iterator[str]:
    """Name of a database that every installed service has migrated."""
    name = f"template_{uuid.uuid4().hex[:8]}"
    asyncio.run(_make_template(admin_dsn, name))
    yield name
    asyncio.run(drop_database(admin_dsn, name))


async def _make_template(admin_dsn: str, name: str) -> None:
    await _execute(admin_dsn, f"CREATE DATABASE {name}")
    for service in pkgutil.iter_modules(services.__path__):
        await migrate(on_database(admin_dsn, name), service.name)


async def clone_database(admin_dsn: str, template: str) -> str:
    """Admin DSN of a new database like `template`."""
    return await new_database(admin_dsn, f"TEMPLATE {template} STRATEGY file_copy")


async def new_database(admin_dsn: str, options: str = "") -> str:
    """Admin DSN of a new database, empty without options."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    await _execute(admin_dsn, f"CREATE DATABASE {name} {options}")
    return on_database(admin_dsn, name)


async def drop_database(admin_dsn: str, name: str) -> None:
    """Drop a database, closing its connections."""
    await _execute(admin_dsn, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def on_database(dsn: str, name: str) -> str:
    """The same DSN for another database of the server."""
    return urlsplit(dsn)._replace(path=f"/{name}").geturl()


def runtime_dsn(admin_dsn: str, service: str) -> str:
    """The DSN of a service's runtime role for the same database. The servers of tests need no
    password.
    """
    parts = urlsplit(admin_dsn)
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=f"tocsin_{service}@{host}").geturl()


def name_of(dsn: str) -> str:
    """The name of the database in a DSN."""
    return urlsplit(dsn).path.removeprefix("/")


async def _execute(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
