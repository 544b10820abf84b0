"""PgBouncer in front of Postgres: a session for each client works, one for each transaction is
refused.
"""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from deploy.local.postgres import server_user, temporary_home
from shared.events.message import OutboxMessage
from shared.kafka.provisioning import apply_topics
from shared.kafka.security import Cluster
from shared.kafka.topics import Topic
from shared.postgres.database import Database
from shared.postgres.leadership import has_leader
from shared.postgres.migrate import migrate
from shared.postgres.outbox import insert_outbox
from shared.postgres.pooler import TransactionPooler
from shared.postgres.relay import Relay, relay_role
from shared.runtime.clock import system_clock
from tests.support.reading import reading
from tests.support.running import eventually, free_port
from tests.support.secured import Secured

_PROGRAM = shutil.which("pgbouncer", path=f"{os.environ.get('PATH')}:/usr/sbin")
pytestmark = pytest.mark.skipif(
    _PROGRAM is None, reason="PgBouncer is not installed (Debian: pgbouncer)"
)
TOPIC = "tocsin.intake.v1"


@asynccontextmanager
async def pgbouncer(server: Secured, mode: str) -> AsyncIterator[Callable[[str], str]]:
    """PgBouncer in front of it; yields the DSN of a role."""
    assert _PROGRAM
    home, port = temporary_home(), free_port()
    (home / "users").write_text('"postgres" "admin"\n"tocsin_intake" "one"\n')
    (home / "pgbouncer.ini").write_text(
        f"""
        [databases]
        * = host=127.0.0.1 port={server.port}
        [pgbouncer]
        listen_addr = 127.0.0.1
        listen_port = {port}
        unix_socket_dir =
        auth_type = trust
        auth_file = {home}/users
        server_tls_sslmode = require
        pool_mode = {mode}
        default_pool_size = 12
        """
    )
    program = [_PROGRAM, "-q"]
    if user := server_user():  # it refuses to run as root
        program += ["-u", user]
        for path in (home, *home.iterdir()):
            shutil.chown(path, user)
    process = await asyncio.create_subprocess_exec(*program, home / "pgbouncer.ini")
    try:
        await eventually("it listens", lambda: _listens(port))
        yield lambda role: f"postgresql://{role}@127.0.0.1:{port}/tocsin?sslmode=disable"
    finally:
        process.kill()
        await process.wait()
        shutil.rmtree(home, ignore_errors=True)


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionError:
        return False
    writer.close()
    return True


async def test_a_pooler_with_a_session_for_each_client_works(
    secured: Secured, kafka: str, topic_prefix: str
) -> None:
    await apply_topics(kafka, topic_prefix, [Topic(TOPIC, partitions=1)])
    async with pgbouncer(secured, "session") as dsn:
        assert await migrate(dsn("postgres"), "intake") == []
        intake = Database(dsn("tocsin_intake"))
        cluster = Cluster(kafka, topic_prefix)
        made = (Relay(intake.dsn, cluster, "intake", system_clock) for _ in range(2))
        relays = [asyncio.create_task(relay.run()) for relay in made]
        try:
            async with reading(kafka, topic_prefix + TOPIC) as reader:
                await write(intake, b"1")
                await reader.values(b"1")
                # The pooler keeps the session of a relay that ends, and gives it to another.
                relays.pop(0).cancel()
                await write(intake, b"2")
                assert (await reader.values(b"2"))[-1] == b"2"
            async with intake.connection() as connection:
                assert await has_leader(connection, relay_role("intake"))
        finally:
            for relay in relays:
                relay.cancel()
            await asyncio.gather(*relays, return_exceptions=True)
            await intake.close()


async def write(intake: Database, value: bytes) -> None:
    async with intake.transaction() as connection:
        await insert_outbox(connection, [OutboxMessage(TOPIC, b"key", value, {})], system_clock())


@pytest.mark.parametrize("mode", ["transaction", "statement"])
async def test_a_pooler_with_a_session_for_each_transaction_is_refused_and_says_why(
    secured: Secured, mode: str
) -> None:
    async with pgbouncer(secured, mode) as dsn:
        with pytest.raises(TransactionPooler, match="set pool_mode = session"):
            await migrate(dsn("postgres"), "intake")
        intake = Database(dsn("tocsin_intake"))
        with pytest.raises(TransactionPooler, match="set pool_mode = session"):
            await intake.open()
        await intake.close()
