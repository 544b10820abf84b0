"""Services, migrations and topics may start in any order: who lacks something waits, unready, and
says for what.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import aiohttp
import asyncpg
import pytest

from deploy.local.ports import choose
from shared.kafka.provisioning import apply_topics
from shared.postgres.migrate import migrate
from tests.support.policies import policy_files
from tests.support.running import SERVICES, Running, Truth, eventually, idle
from tests.support.settings import service_settings, write_policy
from tests.support.stack import drop_database, on_database


@pytest.fixture
async def nothing(
    kafka: str, postgres: str, topic_prefix: str, tmp_path: Path
) -> AsyncIterator[Running]:
    """Services with an empty database, whose roles may not exist either, and without topics."""
    name = f"empty_{uuid.uuid4().hex[:8]}"
    admin = await asyncpg.connect(postgres)
    await admin.execute(f"CREATE DATABASE {name}")
    await admin.close()
    dsn = on_database(postgres, name)
    ports = dict(zip(SERVICES, choose(len(SERVICES)), strict=True))
    step = '{targets: ["user:anastasia"], wait: 1m}'
    write_policy(tmp_path, policy_files("http://127.0.0.1:9/pages", step))
    settings = service_settings(kafka, dsn, topic_prefix, tmp_path, ports)
    async with idle(settings, ports, "", tmp_path, dsn) as stack:
        yield stack
    await drop_database(postgres, name)


async def unready(stack: Running, service: str, reason: str) -> Truth:
    assert stack.processes[service].returncode is None
    try:
        async with stack.http.get(stack.probe(service, "/readyz")) as answer:
            text = await answer.text()
            return Truth(answer.status == 503 and reason in text, text)
    except aiohttp.ClientError as error:
        return Truth(False, repr(error))


async def test_services_wait_for_their_schema_and_topics(
    nothing: Running, kafka: str, topic_prefix: str
) -> None:
    for service in SERVICES:
        await nothing.start(service)
    for service in SERVICES:
        await eventually("it waits", partial(unready, nothing, service, '"postgres":['))

    await asyncio.gather(*(migrate(nothing.database, service) for service in SERVICES))

    await nothing.ready("intake")  # which takes signals without Kafka
    reason = "waits for Kafka and the topics that are read"
    await eventually("triage says what is missing", lambda: unready(nothing, "triage", reason))

    await apply_topics(kafka, topic_prefix)

    await nothing.ready()
    assert all(process.returncode is None for process in nothing.processes.values())
