"""Escalation as a process on real Kafka and Postgres, killed at the worst moments."""

import asyncio
import os
import sys
from asyncio.subprocess import Process, create_subprocess_exec
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import orjson
import pytest
from aiohttp import web
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from deploy.local.ports import choose
from shared.events import commands, escalation, triage
from shared.events.cloudevents import CloudEvent, to_structured
from shared.events.facts import event_message, new_event
from shared.events.ids import uuid7
from shared.events.rejections import DEAD_LETTERS
from shared.events.trace_context import new_trace
from shared.events.triage import IncidentTriaged
from shared.kafka.provisioning import apply_topics
from shared.kafka.topics import TOPICS
from tests.support.escalating import TEAMS, Hit, Receiver, World, world
from tests.support.running import SECRET, TOKEN, eventually, free_port
from tests.support.stack import runtime_dsn

WEBHOOKS_ALONE = """
default_policy: two
users:
  ana: {name: Ana, webhook: "${TOCSIN_TEST_RECEIVER}/ana"}
  ben: {name: Ben, webhook: "${TOCSIN_TEST_RECEIVER}/ben"}
policies:
  two: {steps: [{targets: ["user:ana"], wait: 1h}, {targets: ["user:ben"], wait: 1h}]}
"""


@dataclass
class Installation:
    """Where one escalation service lives; it may be started again and again."""

    environment: dict[str, str]
    log: Path
    base: str
    probes: str
    client: aiohttp.ClientSession
    producer: AIOKafkaProducer
    consumer: AIOKafkaConsumer
    prefix: str
    policy: Path
    seen: set[str] = field(default_factory=set)

    @asynccontextmanager
    async def process(self) -> AsyncIterator[Process]:
        """The service, ready; ended without mercy."""
        with self.log.open("ab") as log:
            process = await create_subprocess_exec(
                sys.executable,
                "-m",
                "shared.runtime.cli",
                "escalation",
                "serve",
                env=self.environment,
                stdout=log,
                stderr=log,
            )
        try:
            await eventually("ready", lambda: self._ready(process), 60)
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    async def _ready(self, process: Process) -> bool:
        assert process.returncode is None, self.log.read_text()[-3000:]
        try:
            async with self.client.get(f"{self.probes}/readyz") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False

    async def publish(self, topic: str, value: Any, key: bytes = b"k") -> None:
        await self.producer.send_and_wait(self.prefix + topic, value, key=key)

    async def event(self, name: str) -> dict[str, Any]:
        """The next event of this name that escalation tells the world; others are passed over."""
        async with asyncio.timeout(60):
            while True:
                event: dict[str, Any] = orjson.loads((await self.consumer.getone()).value)
                # At least once: a process that was killed may have published and not noted it.
                repeat = event["id"] in self.seen
                self.seen.add(event["id"])
                if event["type"].endswith(f".{name}") and not repeat:
                    return event


@pytest.fixture
async def facts(database: str, webhooks: Receiver) -> AsyncIterator[World]:
    async with world(database, webhooks.url) as made:
        yield made


@pytest.fixture
async def service(
    kafka: str, database: str, topic_prefix: str, tmp_path: Path, webhooks: Receiver
) -> AsyncIterator[Installation]:
    await apply_topics(kafka, topic_prefix, TOPICS)
    (tmp_path / "teams.yaml").write_text(TEAMS.format(url="${TOCSIN_TEST_RECEIVER}"))
    port, probes_port = choose(2)
    own = {
        "TOCSIN_KAFKA": kafka,
        "TOCSIN_TOPIC_PREFIX": topic_prefix,
        "TOCSIN_INSTANCE": "escalation-0",
        "TOCSIN_POSTGRES": runtime_dsn(database, "{service}"),
        "TOCSIN_POLICY_DIR": str(tmp_path),
        "TOCSIN_HTTP_PORT": str(port),
        "TOCSIN_PROBES_PORT": str(probes_port),
        "TOCSIN_SECRET_KEY": "a key of thirty-two bytes or more for tests",
        "TOCSIN_API_TOKEN": TOKEN,
        "TOCSIN_WEBHOOK_SECRET": SECRET,
        "TOCSIN_WEBHOOK_TIMEOUT": "1",
        "TOCSIN_SMTP": f"smtp://127.0.0.1:{free_port()}",
        "TOCSIN_ALLOWED_NETWORKS": "127.0.0.0/8",
        "TOCSIN_TEST_RECEIVER": webhooks.url,
    }
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("TOCSIN_", "OTEL_"))
    }
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(aiohttp.ClientSession())
        producer = await stack.enter_async_context(AIOKafkaProducer(bootstrap_servers=kafka))
        consumer = await stack.enter_async_context(
            AIOKafkaConsumer(
                *(topic_prefix + topic for topic in (escalation.TOPIC, DEAD_LETTERS)),
                bootstrap_servers=kafka,
                auto_offset_reset="earliest",
                isolation_level="read_committed",
            )
        )
        base = f"http://127.0.0.1:{port}"
        yield Installation(
            inherited | own,
            tmp_path / "log",
            base,
            f"http://127.0.0.1:{probes_port}",
            client,
            producer,
            consumer,
            topic_prefix,
            tmp_path,
        )


async def test_nothing_that_was_accepted_is_lost_when_the_process_is_killed(
    service: Installation, facts: World, webhooks: Receiver
) -> None:
    id, trace, arrived, never = uuid7(), new_trace(), asyncio.Event(), asyncio.Event()

    async def hang(_: Hit) -> web.Response:
        arrived.set()
        await never.wait()
        return web.Response()

    webhooks.answer = hang
    async with service.process() as process:
        message = event_message(
            new_event(id, 1, facts.clock(), facts.fact(id, IncidentTriaged), trace)
        )
        await service.publish(triage.TOPIC, message.value, message.key)
        await arrived.wait()
        process.kill()  # the page has left, and nobody has written down that it did
    await leases_end(facts)
    webhooks.status(200)
    async with service.process() as process:
        sent = await service.event("PageSent")
        assert sent["data"]["page"]["possible_duplicate"]
        assert sent["traceparent"][3:35] == trace.trace_id
        assert len({hit.key for hit in webhooks.hits}) == 1
        headers = {"Authorization": f"Bearer {TOKEN}"}
        url = f"{service.base}/v1/incidents/{id}/resolve"
        async with service.client.post(url, json={"by": "ana"}, headers=headers) as answer:
            assert answer.status == 200
        process.kill()  # the answer was given, the event may not be on its topic yet
    async with service.process():
        resolved = await service.event("IncidentResolved")
        assert (resolved["subject"], resolved["data"]["by"]) == (str(id), "ana")
        assert resolved["traceparent"][3:35] == trace.trace_id


async def test_a_failed_step_is_followed_by_the_next_whenever_the_process_is_killed(
    service: Installation, facts: World, webhooks: Receiver
) -> None:
    (service.policy / "teams.yaml").write_text(WEBHOOKS_ALONE)
    id, never = uuid7(), asyncio.Event()
    at = {"/ana": asyncio.Event(), "/ben": asyncio.Event()}

    async def hang(hit: Hit) -> web.Response:
        at[hit.path].set()
        await never.wait()
        return web.Response()

    async def ana_is_gone(hit: Hit) -> web.Response:
        return web.Response(status=404) if hit.path == "/ana" else await webhooks_of_ben(hit)

    webhooks.answer = webhooks_of_ben = hang
    message = event_message(
        new_event(id, 1, facts.clock(), facts.fact(id, IncidentTriaged), new_trace())
    )
    async with service.process() as process:
        await service.publish(triage.TOPIC, message.value, message.key)
        await at["/ana"].wait()
        process.kill()  # before the answer
    await leases_end(facts)
    webhooks.answer = ana_is_gone
    async with service.process() as process:
        await at["/ben"].wait()
        process.kill()  # the next step has begun, and its page has left
    await leases_end(facts)
    webhooks.status(200)
    async with service.process():
        first = await service.event("IncidentEscalated")
        second = await service.event("IncidentEscalated")
        sent = await service.event("PageSent")
    assert (first["data"]["paged"], second["data"]["paged"]) == (["ana"], ["ben"])
    assert second["data"]["skipped"] == ["step 1: no page arrived: ana by webhook (HTTP 404)"]
    assert (sent["data"]["page"]["user"], sent["data"]["page"]["step"]) == ("ben", 2)
    rows = await facts.ledger()
    assert sorted((row["user_id"], row["status"]) for row in rows) == [
        ("ana", "failed"),
        ("ben", "sent"),
    ]


async def leases_end(facts: World) -> None:
    async with facts.database.transaction() as connection:
        await connection.execute("UPDATE deliveries SET due_at = now() WHERE status = 'sending'")


async def test_an_acknowledgement_by_topic_is_obeyed_and_a_wrong_one_told_to_the_operators(
    service: Installation, facts: World
) -> None:
    id, unknown = uuid7(), uuid4()

    def order(incident: Any) -> bytes:
        data = {"incident_id": str(incident), "by": "deploy-bot"}
        event = CloudEvent(id="1", source="/bot", type=commands.AcknowledgeIncident.type, data=data)
        return orjson.dumps(to_structured(event))

    async with service.process():
        message = event_message(
            new_event(id, 1, facts.clock(), facts.fact(id, IncidentTriaged), new_trace())
        )
        await service.publish(triage.TOPIC, message.value, message.key)
        await service.event("ResponseStarted")
        await service.publish(commands.TOPIC, order(unknown))
        letter = await service.event("MessageDeadLettered")
        assert f"there is no incident {unknown}" in letter["data"]["reason"]
        await service.publish(commands.TOPIC, b"no JSON")
        assert "is not JSON" in (await service.event("MessageDeadLettered"))["data"]["reason"]
        await service.publish(commands.TOPIC, order(id))
        acknowledged = await service.event("IncidentAcknowledged")
        assert (acknowledged["data"]["by"], acknowledged["data"]["via"]) == ("deploy-bot", "topic")
