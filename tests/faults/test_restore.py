"""A schema, the whole database, Kafka or all of it is lost and put back from a backup, as
docs/runbooks says: offsets catch up, epochs rise, nothing is lost or doubled.
"""

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
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
from tests.support.evidence import Evidence, checking
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
    sent: dict[str, str] = field(default_factory=dict)  # id of a signal to key of its alert
    numbers: Iterator[int] = field(default_factory=count)
    audit_logs: Iterator[int] = field(default_factory=lambda: count(1))

    async def alerts(self, how_many: int) -> list[str]:
        """As many new incidents by the topic; the ids of their signals."""
        ids = [f"signal {next(self.numbers)}" for _ in range(how_many)]
        await self.publish({id: id for id in ids})
        return ids

    async def publish(self, signals: Mapping[str, str], **data: str) -> None:
        """Send signals (id to key of the alert) by the topic."""
        for id, key in signals.items():
            signal = orjson.dumps(alert(id, key, **data))
            await self.producer.send_and_wait(self.prefix + SIGNALS, signal)
        self.sent.update(signals)

    async def post(self, how_many: int) -> None:
        """As many new incidents by HTTP."""
        ids = [f"signal {next(self.numbers)}" for _ in range(how_many)]
        await self.tocsin.signals(*map(alert, ids))
        self.sent.update(zip(ids, ids, strict=True))

    @property
    def incidents(self) -> int:
        """How many there must be."""
        return len(set(self.sent.values()))

    async def paged(self) -> None:
        """Wait until each incident has led to a page, and all is quiet."""

        async def all_paged() -> Truth:
            got = len({page.webhook_id for page in self.receiver.received})
            return Truth(got >= self.incidents, f"{got} of {self.incidents} pages")

        await eventually("a page for each incident", all_paged)
        await self.settle()

    async def published(self, service: str) -> None:
        """Wait until intake has all signals, and the service has published all that it knows."""
        state = f"SELECT count(*), (SELECT count(*) FROM {service}.outbox) FROM intake.signals"

        async def empty() -> Truth:
            found = self.database.sql(state)
            return Truth(found == f"{len(self.sent)}|0", found)

        await eventually(f"{service} has published", empty)

    async def quiet(self) -> Evidence:
        """Wait until all is published and read."""
        async with checking(self.kafka, self.database.server.dsn(), self.prefix) as checker:
            await eventually("all is quiet", checker.settled)
            return await checker.evidence(self.receiver.received)

    async def settle(self) -> None:
        """The same; what every service knows is the same then."""
        evidence = await self.quiet()
        assert evidence.broken_chains == []
        assert Counter(row["signal_id"] for row in evidence.tables["signals"]) == Counter(
            list(self.sent)
        )
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
        assert len(keys) == len(known["intake"]) == self.incidents, "one page for each incident"

    def pages(self) -> Counter[str]:
        """How often each page arrived."""
        return Counter(page.webhook_id for page in self.receiver.received)

    def epoch(self, service: str) -> int:
        return int(self.database.sql(f"SELECT epoch FROM {service}.installation"))

    def epochs(self) -> dict[str, int]:
        return {service: self.epoch(service) for service in SERVICES}

    def raised_since(self, epochs: Mapping[str, int]) -> bool:
        return all(self.epoch(service) > epoch for service, epoch in epochs.items())

    def forget_logs(self) -> None:
        """Services begin at the beginning of new logs, reporting with a new audit log."""
        self.database.sql(NEW_AUDIT_LOG.format(next(self.audit_logs)))
        for service in SERVICES:
            self.database.sql(f"DELETE FROM {service}.offsets")

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
            await world.alerts(5)
            await world.paged()
            for service in SERVICES if long else ("triage",):
                await a_schema_is_restored(world, service, times=2 if long else 1)
            for service in SERVICES if long else ():
                await a_mistake_is_undone(world, service)
            await everything_is_restored(world)
            await everything_is_lost(world)
            if long:
                await kafka_is_replaced(world)


async def a_schema_is_restored(world: World, service: str, times: int) -> None:
    dump, before = world.database.dump(service), world.pages()
    await world.alerts(4)
    await world.paged()
    for again in range(1, times + 1):
        epoch = world.epoch(service)
        await world.stop(service)
        world.database.restore(service, dump)
        # The runbook's step for a schema that was restored before.
        world.database.sql(f"UPDATE {service}.installation SET epoch = {epoch}")
        await world.alerts(2)
        await world.restart(service)
        await world.paged()
        assert world.epoch(service) == epoch + 1
        print(f"{service} restored, time {again}: epoch {epoch + 1}")
    repeated_by_escalation_alone(world, service, before)


async def a_mistake_is_undone(world: World, service: str) -> None:
    """A schema is dropped; it goes back to an instant before, and lacks nothing until then."""
    await world.post(3)
    await world.alerts(2)
    await world.paged()
    epoch, before, instant = world.epoch(service), world.pages(), datetime.now(UTC)
    await world.alerts(2)
    await world.paged()
    world.database.sql(f"DROP SCHEMA {service} CASCADE")
    await world.alerts(2)
    await world.stop(service)
    world.database.restore(service, world.database.dump_as_of(service, instant))
    await world.restart(service)
    await world.paged()
    assert world.epoch(service) == epoch + 1
    repeated_by_escalation_alone(world, service, before)
    print(f"{service} as of {instant}: epoch {epoch + 1}")


def repeated_by_escalation_alone(world: World, service: str, before: Counter[str]) -> None:
    """Who was paged after the backup is in the ledger that was lost: the page comes again, under
    the same id.
    """
    repeated = {key for key, times in world.pages().items() if times > 1} - before.keys()
    assert not repeated or service == "escalation"


async def everything_is_restored(world: World) -> None:
    epochs, instant = world.epochs(), datetime.now(UTC)
    await world.alerts(4)
    await world.paged()
    await world.stop(*SERVICES)
    await world.alerts(3)
    world.database.recover(instant)
    await world.restart(*SERVICES)
    await world.paged()
    assert world.raised_since(epochs)
    print(f"everything restored to {instant}: {len(world.sent)} incidents")


async def everything_is_lost(world: World) -> None:
    """The database server and Kafka, and with it facts that were published and not read."""
    epochs = world.epochs()
    instant, unread, resolved = await facts_that_nobody_reads(world)
    await world.restart("intake", "triage")
    lost = await world.alerts(3)
    await world.paged()
    await world.stop(*SERVICES)
    world.database.recover(instant)
    await new_topics(world)
    world.forget_logs()
    await world.restart(*SERVICES)
    # Publishers send the last hours again.
    await world.publish({id: world.sent[id] for id in [*list(world.sent)[:3], *unread, *lost]})
    await world.quiet()
    apart = dict(row.split("|") for row in world.database.sql(APART).splitlines())
    assert apart == {**dict.fromkeys(unread, "unknown"), resolved: "resolved"}
    for id, response in apart.items():
        end = {"status": "resolved"} if response == "resolved" else {}
        await world.publish({f"{id} again": id}, **end)
    await world.paged()
    assert world.database.sql(APART) == ""
    assert world.raised_since(epochs)
    print(f"all put back as of {instant}: {world.incidents} incidents")


async def facts_that_nobody_reads(world: World) -> tuple[datetime, list[str], str]:
    """An instant at which intake has published incidents that triage has not read, and escalation a
    resolution that intake has not read; the ids of their signals.
    """
    await world.stop("triage")
    unread = await world.alerts(2)
    await world.published("intake")
    await world.stop("intake")
    resolved = list(world.sent)[3]
    find = f"SELECT subject FROM intake.signals WHERE signal_id = '{resolved}'"
    incident = world.database.sql(find)
    await world.tocsin.act("resolve", incident)

    async def reported() -> bool:
        found = await world.tocsin.incident(incident)
        return found is not None and found["status"] == "resolved"

    await eventually("reporting knows of it", reported)
    await world.published("escalation")
    return datetime.now(UTC), unread, resolved


async def kafka_is_replaced(world: World) -> None:
    await world.stop(*SERVICES)
    await new_topics(world)
    for service in SERVICES:
        await world.tocsin.start(service)

    async def stopped() -> Truth:
        try:
            async with world.tocsin.http.get(world.tocsin.probe("triage", "/readyz")) as answer:
                text = await answer.text()
        except aiohttp.ClientError as error:  # it is starting
            return Truth(False, repr(error))
        return Truth(answer.status == 503 and "recreated" in text, text)

    await eventually("triage refuses to read another log as if it were the one before", stopped)
    world.forget_logs()
    await world.tocsin.ready()
    await world.alerts(3)
    await world.paged()
    print("Kafka replaced")


async def new_topics(world: World) -> None:
    """All topics are lost and made again."""
    names = [world.prefix + topic.name for topic in TOPICS]
    admin = AIOKafkaAdminClient(bootstrap_servers=world.kafka)
    await admin.start()
    await admin.delete_topics(names)

    async def gone() -> bool:
        return not set(names) & set(await admin.list_topics())

    await eventually("the topics are gone", gone)
    await admin.close()
    await apply_topics(world.kafka, world.prefix, TOPICS)


NEW_AUDIT_LOG = """
    SET ROLE tocsin_reporting_owner;
    ALTER TABLE reporting.audit RENAME TO audit_{0};
    ALTER INDEX reporting.audit_pkey RENAME TO audit_{0}_pkey;
    CREATE TABLE reporting.audit (LIKE reporting.audit_{0} INCLUDING ALL);
    REVOKE UPDATE, DELETE, TRUNCATE ON reporting.audit FROM tocsin_reporting
"""
"""As in docs/runbooks/restore-kafka.md."""
APART = """
    SELECT DISTINCT ON (subject) signal_id, coalesce(response.status, 'unknown')
    FROM intake.signals JOIN intake.incidents AS incident ON incident.incident_id = subject
    LEFT JOIN escalation.incidents AS response ON response.id = subject
    WHERE incident.status = 'open' AND (response.id IS NULL OR response.status = 'resolved')
    ORDER BY subject, received_at DESC
"""
"""As in docs/runbooks/everything-lost.md."""
