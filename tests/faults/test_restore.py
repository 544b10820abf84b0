"""A schema, the whole database or Kafka is lost and put back from a backup, as docs/runbooks says,
while the rest runs on: offsets catch up, epochs rise, nothing is lost or doubled.
"""

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import aiohttp
import orjson
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient

from shared.kafka.provisioning import apply_topics
from shared.kafka.topics import SIGNALS, TOPICS
from shared.postgres.migrate import migrate
from tests.support.disasters import Archived, archived
from tests.support.evidence import checking
from tests.support.policies import policy_files
from tests.support.running import SERVICES, Receiver, Running, Truth, alert, eventually, running


@dataclass
class World:
    """A Tocsin on a server that is backed up, and what was sent to it."""

    tocsin: Running
    database: Archived
    producer: AIOKafkaProducer
    receiver: Receiver
    kafka: str
    prefix: str
    sent: set[str] = field(default_factory=set)
    numbers: Iterator[int] = field(default_factory=count)

    async def alerts(self, how_many: int) -> list[str]:
        """As many new incidents by the topic; the ids of their signals."""
        ids = [f"signal {next(self.numbers)}" for _ in range(how_many)]
        for id in ids:
            await self.producer.send_and_wait(self.prefix + SIGNALS, orjson.dumps(alert(id)))
        self.sent.update(ids)
        return ids

    async def paged(self, ids: list[str]) -> None:
        """Wait until each incident has led to a page, and all is quiet."""

        async def all_paged() -> Truth:
            got = len({page.webhook_id for page in self.receiver.received})
            return Truth(got >= len(self.sent), f"{got} of {len(self.sent)} pages")

        await eventually(f"{len(ids)} more pages", all_paged)
        await self.settle()

    async def settle(self) -> None:
        """Wait until all is published and read; what every service knows is the same then."""
        dsn = self.database.server.dsn()
        async with checking(self.kafka, dsn, self.prefix) as checker:
            await eventually("all is quiet", checker.settled)
            evidence = await checker.evidence(self.receiver.received)
        assert evidence.broken_chains == []
        assert Counter(row["signal_id"] for row in evidence.tables["signals"]) == Counter(self.sent)
        known = {name: evidence.by_id(name) for name in ("intake", "triage", "escalation")}
        reports = evidence.by_id("reporting")
        for id, row in known["intake"].items():
            response = known["escalation"][id]
            assert known["triage"][id]["intake_sequence"] == row["sequence"]
            assert (
                response["state"]["response"]["triage_sequence"] == known["triage"][id]["sequence"]
            )
            assert reports[id]["status"] == response["status"]
            assert reports[id]["escalation_sequence"] == response["sequence"]
        keys = {page.webhook_id for page in self.receiver.received}
        assert len(keys) == len(known["intake"]) == len(self.sent), "one page for each incident"

    def pages(self) -> Counter[str]:
        """How often each page arrived."""
        return Counter(page.webhook_id for page in self.receiver.received)

    def epoch(self, service: str) -> int:
        return int(self.database.sql(f"SELECT epoch FROM {service}.installation"))

    async def restart(self, *services: str) -> None:
        for service in services:
            await self.tocsin.start(service)
        await self.tocsin.ready(*services)

    async def stop(self, *services: str) -> None:
        await asyncio.gather(*(self.tocsin.kill(name, signal.SIGTERM) for name in services))


@asynccontextmanager
async def world_on(
    database: Archived, kafka: str, prefix: str, folder: Path, receiver: Receiver
) -> AsyncIterator[World]:
    dsn = database.server.dsn()
    for service in SERVICES:
        await migrate(dsn, service)
    steps = '{targets: ["user:anastasia"], wait: 1h}'
    policy = policy_files(receiver.url, steps, rounds=1, update_interval="1s")
    async with (
        running(kafka, dsn, prefix, folder, policy) as tocsin,
        AIOKafkaProducer(bootstrap_servers=kafka) as producer,
    ):
        yield World(tocsin, database, producer, receiver, kafka, prefix)


async def test_what_is_lost_is_put_back_from_a_backup(
    kafka: str, topic_prefix: str, tmp_path: Path, receiver: Receiver, long: bool
) -> None:
    with archived(tmp_path) as database:
        async with world_on(database, kafka, topic_prefix, tmp_path, receiver) as world:
            database.back_up()
            await world.paged(await world.alerts(5))
            for service in SERVICES if long else ("triage",):
                await a_schema_is_restored(world, service, times=2 if long else 1)
            await everything_is_restored(world)
            if long:
                await kafka_is_replaced(world)


async def a_schema_is_restored(world: World, service: str, times: int) -> None:
    dump, before = world.database.dump(service), world.pages()
    await world.paged(await world.alerts(4))
    for again in range(1, times + 1):
        epoch = world.epoch(service)
        await world.stop(service)
        world.database.restore(service, dump)
        # The runbook's step for a schema that was restored before.
        world.database.sql(f"UPDATE {service}.installation SET epoch = {epoch}")
        late = await world.alerts(2)
        await world.restart(service)
        await world.paged(late)
        assert world.epoch(service) == epoch + 1
        print(f"{service} restored, time {again}: epoch {epoch + 1}")
    repeated = {key for key, times in world.pages().items() if times > 1} - before.keys()
    # Who was paged after the backup is in the ledger that was lost: the page comes again, under
    # the same id.
    assert not repeated or service == "escalation"


async def everything_is_restored(world: World) -> None:
    epochs = {service: world.epoch(service) for service in SERVICES}
    instant = datetime.now(UTC)
    world.database.sql("SELECT pg_switch_wal()")
    await world.paged(await world.alerts(4))
    await world.stop(*SERVICES)
    late = await world.alerts(3)
    world.database.recover(instant)
    await world.restart(*SERVICES)
    await world.paged(late)
    assert all(world.epoch(service) > epoch for service, epoch in epochs.items())
    print(f"everything restored to {instant}: {len(world.sent)} incidents")


async def kafka_is_replaced(world: World) -> None:
    await world.stop(*SERVICES)
    names = [world.prefix + topic.name for topic in TOPICS]
    admin = AIOKafkaAdminClient(bootstrap_servers=world.kafka)
    await admin.start()
    await admin.delete_topics(names)

    async def gone() -> bool:
        return not set(names) & set(await admin.list_topics())

    await eventually("the topics are gone", gone)
    await admin.close()
    await apply_topics(world.kafka, world.prefix, TOPICS)
    for service in SERVICES:
        await world.tocsin.start(service)

    async def stopped() -> Truth:
        try:
            async with world.tocsin.http.get(world.tocsin.url("triage", "/readyz")) as answer:
                text = await answer.text()
        except aiohttp.ClientError as error:  # it is starting
            return Truth(False, repr(error))
        return Truth(answer.status == 503 and "recreated" in text, text)

    await eventually("triage refuses to read another log as if it were the one before", stopped)
    world.database.sql(NEW_AUDIT_LOG)
    for service in SERVICES:
        world.database.sql(f"DELETE FROM {service}.offsets")
    await world.tocsin.ready()
    late = await world.alerts(3)
    await world.paged(late)
    print("Kafka replaced")


NEW_AUDIT_LOG = """
    SET ROLE tocsin_reporting_owner;
    ALTER TABLE reporting.audit RENAME TO audit_1;
    ALTER INDEX reporting.audit_pkey RENAME TO audit_1_pkey;
    CREATE TABLE reporting.audit (LIKE reporting.audit_1 INCLUDING ALL);
    REVOKE UPDATE, DELETE, TRUNCATE ON reporting.audit FROM tocsin_reporting
"""
"""As in docs/runbooks/restore-kafka.md."""
