"""Reporting as the process that it is, from topics to topic."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import aiohttp
import pytest
from aiokafka import AIOKafkaProducer
from yarl import URL

from services.reporting.app import build_app
from services.reporting.console.live import Live
from shared.events import reporting as states
from shared.events.facts import Event, event_message
from shared.kafka.provisioning import apply_topics
from shared.kafka.topics import SIGNALS
from shared.postgres.database import Database
from shared.runtime.clock import system_clock
from tests.support.http import served
from tests.support.outage import Outage
from tests.support.reading import reading
from tests.support.running import Running, eventually, free_port
from tests.support.stack import runtime_dsn


@pytest.fixture
async def service(
    kafka: str, database: str, topic_prefix: str, tmp_path: Path
) -> AsyncIterator[Running]:
    await apply_topics(kafka, topic_prefix)
    environment = {
        **{
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("TOCSIN_", "OTEL_"))
        },
        "TOCSIN_KAFKA": kafka,
        "TOCSIN_TOPIC_PREFIX": topic_prefix,
        "TOCSIN_POSTGRES": runtime_dsn(database, "{service}"),
    }
    async with aiohttp.ClientSession() as http:
        running = Running(environment, {"reporting": free_port()}, "", tmp_path, database, http)
        try:
            await running.start("reporting")
            await running.ready("reporting")
            yield running
        finally:
            await running.stop()


async def publish(kafka: str, prefix: str, events: list[Event]) -> None:
    async with AIOKafkaProducer(bootstrap_servers=kafka) as producer:
        await producer.send_and_wait(prefix + SIGNALS, b"what a publisher sent")
        for event in events:
            message = event_message(event)
            headers = [(name, value.encode()) for name, value in message.headers.items()]
            await producer.send_and_wait(
                prefix + message.topic, message.value, key=message.key, headers=headers
            )


async def test_from_the_topics_to_the_compacted_topic(
    service: Running, kafka: str, topic_prefix: str
) -> None:
    outage = Outage()
    before = [outage.reported(), outage.triaged(), outage.started(), outage.acknowledged(2, "Ben")]
    await publish(kafka, topic_prefix, before)
    await eventually("acknowledged", lambda: _is(service, outage, "acknowledged"))

    # Killed at any moment it goes on where its rows say, and records nothing twice.
    await publish(kafka, topic_prefix, [outage.resolved(30, "Ben")])
    await service.kill("reporting")
    await service.start("reporting")
    await eventually("resolved", lambda: _is(service, outage, "resolved"))

    async with reading(kafka, topic_prefix + states.TOPIC) as reader:
        await reader.until(
            "the newest state", lambda found: any(b'"resolved"' in (r.value or b"") for r in found)
        )
    assert {record.key for record in reader.records} == {str(outage.incident_id).encode()}

    database = Database(runtime_dsn(service.database, "reporting"))

    async def recorded() -> bool:
        async with database.connection() as connection:
            return bool(await connection.fetchval("SELECT count(*) FROM audit") == 7)

    await eventually("all that was published is recorded", recorded)
    await database.close()
    verify = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "shared.runtime.cli", "audit", "verify"),
        env=service.environment,
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await verify.communicate()
    assert verify.returncode == 0, said
    assert b"all 7 records" in said


async def test_an_open_stream_does_not_hold_up_the_stop(service: Running) -> None:
    async with service.http.get(service.url("reporting", "/events")) as stream:
        assert stream.content_type == "text/event-stream"
        assert await stream.content.readuntil(b"event: changed\n")
        async with asyncio.timeout(8):  # a stream that is waited for costs the 10 s of grace
            assert await service.kill("reporting", signal.SIGTERM) == 0
        with suppress(aiohttp.ClientError):
            await stream.content.read()


async def _is(service: Running, outage: Outage, status: str) -> bool:
    with suppress(aiohttp.ClientError):
        found = await service.incident(str(outage.incident_id))
        return found is not None and found["status"] == status
    return False


@pytest.fixture
async def base(database: str) -> AsyncIterator[str]:
    own = Database(runtime_dsn(database, "reporting"))
    async with served(
        build_app(own, system_clock, Live(asyncio.Event(), asyncio.Event(), 9), None)
    ) as address:
        yield address
    await own.close()


@pytest.mark.parametrize(
    "path",
    [
        "/?team=%00",
        "/v1/incidents?team=%00",
        "/v1/incidents?team=%ED%A0%80",
        "/v1/incidents?before=999999999999999999",
        "/v1/incidents/%00",
        "/v1/incidents/INC-999999999999999999",
        "/incidents/%00",
        "/v1/metrics?days=99999999999999999999",
        "/static/%00",
        "/static/..%2F..%2Fapp.py",
    ],
)
async def test_hostile_requests_are_answered_without_an_error_of_the_server(
    base: str, path: str
) -> None:
    async with aiohttp.ClientSession() as http, http.get(URL(base + path, encoded=True)) as answer:
        assert answer.status < 500, await answer.text()
