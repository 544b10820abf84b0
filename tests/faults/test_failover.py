"""The primary dies and a standby takes over: services with both hosts in their DSN go on, and
nothing is lost or doubled.
"""

import os
import signal
from collections import Counter
from pathlib import Path

import asyncpg
from aiokafka import AIOKafkaProducer

from deploy.local.postgres import Postgres
from shared.kafka.topics import SIGNALS
from shared.postgres.migrate import migrate
from tests.faults.conftest import responding
from tests.faults.storm import Storm
from tests.faults.supervised import short_waits
from tests.support.checker import complaints
from tests.support.evidence import checking
from tests.support.networked import primary_server, standby_server
from tests.support.running import SERVICES, Receiver, Truth, eventually, running

_BEFORE, _AFTER = 60, 60


async def test_a_standby_that_takes_over_loses_and_doubles_nothing(
    kafka: str, topic_prefix: str, receiver: Receiver, tmp_path: Path
) -> None:
    with primary_server() as primary, standby_server(primary) as standby:
        await _follow(primary)
        hosts = f"127.0.0.1:{primary.port},127.0.0.1:{standby.port}"
        database = f"postgresql://postgres@{hosts}/tocsin"
        for service in SERVICES:
            await migrate(database, service)
        async with (
            AIOKafkaProducer(bootstrap_servers=kafka, linger_ms=0) as producer,
            running(kafka, database, topic_prefix, tmp_path, short_waits(receiver)) as stack,
            responding(Storm(stack, producer, topic_prefix + SIGNALS), receiver) as storm,
        ):
            async with storm.steady("failover"):
                await eventually("signals", lambda: storm.reached(_BEFORE))
                _kill(primary)
                await _promote(standby)
                more = len(storm.accepted.signals) + _AFTER
                await eventually("signals after it", lambda: storm.reached(more))
            await stack.ready()
            async with checking(kafka, standby.dsn(), topic_prefix) as checker:
                await storm.settle(checker)
                evidence = await checker.evidence(receiver.received)
            assert complaints(evidence, storm.accepted) == []
            assert receiver.received
            # A page that was on its way when the primary died may come again, marked as such.
            _print_repeats(receiver)


def _print_repeats(receiver: Receiver) -> None:
    pages = Counter(page.webhook_id for page in receiver.received)
    print(f"{len(pages)} pages, {sum(times > 1 for times in pages.values())} came again")


async def _follow(primary: Postgres) -> None:
    """What is committed from now on is on the standby as well."""
    admin = await asyncpg.connect(primary.dsn())
    await admin.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
    await admin.execute("SELECT pg_reload_conf()")

    async def synchronous() -> Truth:
        state = await admin.fetchval("SELECT sync_state FROM pg_stat_replication")
        return Truth(state == "sync", str(state))

    await eventually("the standby follows", synchronous)
    await admin.close()


def _kill(server: Postgres) -> None:
    assert server.process
    os.killpg(server.process.pid, signal.SIGKILL)
    server.process.wait()


async def _promote(standby: Postgres) -> None:
    admin = await asyncpg.connect(standby.dsn())
    assert await admin.fetchval("SELECT pg_promote()")
    await admin.close()
