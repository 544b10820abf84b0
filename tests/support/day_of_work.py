"""A day's work of the four services on one database, without Kafka: the test hands the records of
one service to the next.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from importlib import import_module
from itertools import product
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import aiohttp
import asyncpg
import orjson
from aiokafka import TopicPartition as KafkaTopicPartition

from services.escalation.delivery import metrics as delivery_metrics
from services.escalation.delivery import store as ledger
from services.escalation.delivery.domain.settlement import Result
from services.escalation.delivery.recorder import Recorder
from services.escalation.links.domain import Links
from services.escalation.response import store as escalation_store
from services.intake.gateways.registry import Registry
from services.intake.handlers import TOPIC_INTEGRATION, Handlers
from services.intake.incidents.decisions import Decisions
from services.intake.incidents.domain.payload import Payload
from services.intake.incidents.domain.reclassification import Reclassify
from services.intake.incidents.policy import IntakePolicy
from services.intake.incidents.store.alerts import list_alerts
from services.intake.incidents.store.incidents import load_incident
from services.intake.integrations import store as intake_integrations
from services.intake.integrations.domain import Settings
from services.intake.integrations.key_ring import KeyRing
from services.intake.integrations.store import create_key
from services.intake.signals.domain import read_signal
from services.reporting.app import build_app
from services.reporting.audit.verifier import Verifier
from services.reporting.console.live import Live
from services.reporting.handlers import Handlers as ReportingHandlers
from services.reporting.topics import PROJECTED
from services.triage.catalogue.policy import read_catalogue
from services.triage.handlers import Handlers as TriageHandlers
from shared.events import escalation, intake, triage
from shared.events.cloudevents import CloudEvent, from_record
from shared.events.ids import uuid7
from shared.events.reference import parse_reference
from shared.events.trace_context import new_trace
from shared.kafka.consumption import offsets
from shared.kafka.consumption.offsets import TopicPartition
from shared.kafka.consumption.partition import Partition, PartitionBatch
from shared.kafka.consumption.worker import Worker
from shared.kafka.handler import Decider, Handler
from shared.kafka.record import Record
from shared.kafka.topics import SIGNALS
from shared.policy.retention import make_plan
from shared.postgres import aging, outbox, timers
from shared.postgres.connection import Connection
from shared.postgres.retention import retention_applied
from shared.postgres.wake import Wake
from tests.support import many_rows
from tests.support.escalating import KEY, TEAMS, JumpingClock, World
from tests.support.http import served
from tests.support.plans import Plans, WatchedDatabase
from tests.support.running import alert, eventually
from tests.support.stack import runtime_dsn
from tests.support.teams import teams_of

BATCH = 100
_PARTITION = 100  # the existing rows of the audit log are of other partitions


@dataclass
class Tocsin:
    """The four services on one watched database; the test replaces Kafka."""

    plans: Plans
    databases: Mapping[str, WatchedDatabase]
    admin: Connection
    clock: JumpingClock
    canary: str = field(default_factory=lambda: f"canary-{uuid7()}")

    async def consume(
        self,
        service: str,
        topic: str,
        handler: Handler,
        records: Sequence[Record],
        decider: Decider | None = None,
    ) -> None:
        """One batch as the service's consumption works on it."""
        database, tp = self.databases[service], TopicPartition(topic, _PARTITION)
        async with database.connection() as connection:
            row = (await offsets.load_offsets(connection, [tp])).get(tp)
        start = row.next_offset if row else 0
        placed = [replace(r, partition=_PARTITION, offset=start + i) for i, r in enumerate(records)]
        partition = Partition(KafkaTopicPartition(topic, _PARTITION), tp, row=row)
        with self.plans.during(f"{service} reads {topic}"):
            deciders = {topic: decider} if decider else {}
            work = Worker(database, {topic: handler}, service, self.clock, deciders)
            await work.work([PartitionBatch(partition, start, start + len(records), placed)])

    async def take_outbox(self, topic: str) -> list[Record]:
        """Take the records that the producer of a topic has written to its outbox."""
        outbox_table = f"{topic.split('.')[1]}.outbox"
        statement = f"DELETE FROM {outbox_table} WHERE topic = $1 RETURNING id, key, value, headers"
        rows = await self.admin_rows(statement, topic)
        return [
            Record(
                *(topic, 0, 0, self.clock(), row["key"], row["value"]),
                tuple(
                    (name, value.encode()) for name, value in orjson.loads(row["headers"]).items()
                ),
            )
            for row in sorted(rows, key=lambda row: row["id"])
        ]

    async def admin_rows(self, query: str, *arguments: Any) -> list[Any]:
        """Rows of any schema, unwatched."""
        return await self.admin.fetch(query, *arguments)


@asynccontextmanager
async def tocsin(year: str) -> AsyncIterator[Tocsin]:
    plans = Plans()
    databases = {
        name: WatchedDatabase(runtime_dsn(year, name), plans) for name in many_rows.SERVICES
    }
    admin = await asyncpg.connect(year)
    try:
        yield Tocsin(plans, databases, admin, JumpingClock())
    finally:
        await admin.close()
        for database in databases.values():
            await database.close()


async def run_all_sql(system: Tocsin) -> None:
    """Run every function that has SQL at least once."""
    for topic in (intake.TOPIC, triage.TOPIC, escalation.TOPIC):
        await system.take_outbox(topic)  # left by an earlier day
    records = {intake.TOPIC: await _intake_works(system)}
    await _triage_works(system, records[intake.TOPIC])
    records[triage.TOPIC] = await system.take_outbox(triage.TOPIC)
    records[escalation.TOPIC] = await _escalation_works(system, records[triage.TOPIC])
    handlers = _intake_of(system)
    await system.consume(
        "intake", escalation.TOPIC, handlers.on_escalation, records[escalation.TOPIC]
    )
    await _reporting_works(system, records)
    for service in many_rows.SERVICES:
        await _retention_works(system, service)
        await _relay_works(system, service)


def _intake_of(system: Tocsin) -> Handlers:
    return Handlers(IntakePolicy, system.clock)


async def _intake_works(system: Tocsin) -> list[Record]:
    handlers, database, now = _intake_of(system), system.databases["intake"], system.clock()
    run = now.isoformat()
    ends = (now + timedelta(minutes=5)).isoformat()
    opening = [
        alert(f"{run} {n}", ends_at=ends, service="checkout" if n else system.canary)
        for n in range(BATCH)
    ]
    joining = [alert(f"{run} again {n}", key=f"{run} {n}", severity="error") for n in range(BATCH)]
    ending = [
        alert(f"{run} end {n}", key=f"{run} {n}", status="resolved") for n in range(BATCH // 4)
    ]
    others = [alert(f"{run} {kind} {n}") | {"type": f"tocsin.signals.{kind}"}
              for kind in ("Change", "ServiceRequest") for n in range(BATCH)]  # fmt: skip
    new = from_record(Record(SIGNALS, 0, 0, now, None, orjson.dumps(opening[-1])))
    with system.plans.during("a new alert, without a transaction"):
        async with database.connection() as connection:
            await handlers.take_new(connection, [read_signal(new, TOPIC_INTEGRATION, now)])
    for signals in (opening, opening, joining, ending, others, [{"no": "signal"}]):
        records = [Record(SIGNALS, 0, 0, now, None, orjson.dumps(signal)) for signal in signals]
        await system.consume("intake", SIGNALS, handlers.on_signals, records)
    published = await system.take_outbox(intake.TOPIC)
    system.clock.jump(hours=2)
    await _timers_work(system, "intake", handlers.fire)
    decisions = Decisions(database, handlers.preview, list(Registry.discover()), system.clock)
    with system.plans.during("decisions are explained, tried and corrected"):
        found = await decisions.explain(f"{run} 99")
        assert found is not None
        number = found["signals"][0]["incident"]["incident"]
        assert await decisions.explain(number) is not None
        await decisions.try_out(Payload(orjson.dumps(opening[0])))
        assert await decisions.reclassify(number, Reclassify("request", "ana")) is not None
    with system.plans.during("an incident's alerts are listed"):
        async with database.connection() as connection:
            incident = await load_incident(connection, parse_reference(number))
            assert incident is not None
            assert await list_alerts(connection, incident.incident_id, None, BATCH)
    with system.plans.during("intake's keys"):
        async with database.transaction() as connection:
            key = await create_key(connection, "tests", None, now)
        sender = await KeyRing(database, system.clock).integration(key, "cloudevents")
        assert sender is not None
        assert sender.name == "tests"
        async with database.transaction() as connection:
            for _, _, keys in await intake_integrations.list_integrations(connection):
                for stored in keys:
                    await intake_integrations.end_key(connection, stored.key_id, now)
                await intake_integrations.delete_keys(
                    connection, [stored.key_id for stored in keys]
                )
            assert await intake_integrations.lock_integration(connection, "tests") == []
            await intake_integrations.apply_file(connection, {"tests": Settings(rate=10)}, now)
    return published


async def _timers_work(system: Tocsin, service: str, fire: timers.Fire) -> None:
    with system.plans.during(f"{service}'s timers"):
        async with system.databases[service].transaction() as connection:
            due = await timers.claim_timers(connection, system.clock(), BATCH)
            assert len(due) == BATCH
            await fire(connection, due)
            assert await timers.load_next_due(connection)


async def _triage_works(system: Tocsin, records: Sequence[Record]) -> None:
    services = {
        "checkout": {"team": "payments", "tier": 1},
        system.canary: {"team": "payments", "tier": 1, "synthetic": True},
    }
    catalogue = read_catalogue(orjson.dumps({"default_team": "platform", "services": services}))
    handlers = TriageHandlers(lambda: catalogue, system.clock)
    for part in (records[:1], records[1:], records):
        await system.consume("triage", intake.TOPIC, handlers.on_intake, part, handlers.decide)


async def _escalation_works(system: Tocsin, records: Sequence[Record]) -> list[Record]:
    database, teams = (
        system.databases["escalation"],
        teams_of(TEAMS.format(url="http://127.0.0.1:9")),
    )
    world = World(
        database,
        system.clock,
        teams,
        Links([KEY], "http://links"),
        {},
        Wake(database.dsn, "escalation"),
    )
    handlers = world.handlers
    for part in (records[:1], records[1:]):
        await system.consume(
            "escalation", triage.TOPIC, handlers.on_triage, part, handlers.start_responses
        )
    with system.plans.during("escalation looks for responses"):
        async with database.connection() as connection:
            await escalation_store.load_epoch_of_new(connection, [uuid7()])
    published = await system.take_outbox(escalation.TOPIC)
    numbers = [
        orjson.loads(record.value or b"")["data"]["response"]["number"] for record in published
    ]
    incidents = list(dict.fromkeys(zip([record.key for record in published], numbers, strict=True)))
    assert len(incidents) == BATCH, len(incidents)
    system.clock.jump(minutes=2)
    await _timers_work(system, "escalation", world.handlers.fire)
    await _sender_works(system, world)
    with system.plans.during("escalation's gauge"):
        async with database.connection() as connection:
            assert await delivery_metrics.poll(connection, system.clock())
    (_, number), (second, _), *others = [
        (UUID((key or b"").decode()), number) for key, number in incidents
    ]
    with system.plans.during("people act"):
        await world.act(number, "acknowledge")
        await world.act(second, "resolve")
        async with database.connection() as connection:
            assert await escalation_store.load_incident(connection, second)
            assert await escalation_store.list_pages(connection, second)
    with system.plans.during("systems act"):
        await world.command(*(_order_to_resolve(incident) for incident, _ in others))
    return published + await system.take_outbox(escalation.TOPIC)


def _order_to_resolve(incident: UUID) -> CloudEvent:
    data = {"incident_id": str(incident), "by": "Ben"}
    return CloudEvent("1", "/bot", "tocsin.commands.ResolveIncident", data=data)


async def _sender_works(system: Tocsin, world: World) -> None:
    """Run the sender with thousands of due pages to many unknown receivers until some hundreds have
    failed; then record that others arrived.
    """

    async def failed() -> int:
        return len(
            await system.admin_rows("SELECT FROM escalation.deliveries WHERE status = 'failed'")
        )

    async def enough() -> bool:
        return await failed() >= before + 2 * BATCH

    before = await failed()
    with system.plans.during("the sender"):
        sender = asyncio.create_task(world.sender().run())
        try:
            await eventually("pages are given up", enough)
        finally:
            sender.cancel()
            with suppress(asyncio.CancelledError):
                await sender
        async with system.databases["escalation"].connection() as connection:
            now = system.clock()
            lease = now + timedelta(minutes=1)
            claims = await ledger.claim_deliveries(connection, now, lease, {}, 8, BATCH)
            assert len(claims) == BATCH
            arrived = [Result(claim, None, new_trace(), now) for claim in claims]
            assert await Recorder(lambda: world.teams).record_arrived(connection, arrived, now)


async def _reporting_works(system: Tocsin, by_topic: Mapping[str, Sequence[Record]]) -> None:
    database, handlers = system.databases["reporting"], ReportingHandlers(system.clock)
    for topic, records in by_topic.items():
        assert topic in PROJECTED
        for _ in ("first", "again"):
            await system.consume("reporting", topic, handlers.record_and_project, records)
    app = build_app(database, system.clock, Live(asyncio.Event(), asyncio.Event(), 9), None)
    async with served(app) as address, aiohttp.ClientSession(address) as session:
        for task, path in _list_pages(
            orjson.loads(by_topic[intake.TOPIC][0].value or b"")["subject"]
        ):
            with system.plans.during(task):
                async with session.get(path) as answer:
                    assert answer.status == 200, (path, await answer.text())
    with system.plans.during("verify"):
        async with database.connection() as connection:
            assert [verdict async for verdict in Verifier(connection).verify()]


def _list_pages(incident: str) -> Iterator[tuple[str, str]]:
    """Every page and API path of reporting, with the task that it belongs to."""
    teams = ("", many_rows.RARE_TEAM, "team-7", "nobody")
    yield from (("board", f"/?team={team}") for team in teams)
    yield from (
        ("page", path)
        for path in ("/requests", "/canary", f"/incidents/{incident}", f"/v1/incidents/{incident}")
    )
    yield "figures", "/v1/metrics"
    yield "list", "/v1/incidents?synthetic=true"
    statuses = ("", "all", "open", "reported", "triggered", "acknowledged", "resolved")
    for status, team, before in product(statuses, teams, ("", f"{many_rows.ROWS // 2}")):
        asked = {"status": status, "team": team, "before": before, "limit": "50"}
        yield (
            "list",
            "/v1/incidents?" + urlencode({name: value for name, value in asked.items() if value}),
        )


async def _relay_works(system: Tocsin, service: str) -> None:
    with system.plans.during(f"{service}'s relay"):
        async with system.databases[service].connection() as connection:
            assert await outbox.load_oldest_outbox(connection)
            published = await outbox.advance_outbox(connection, [], 100)
            first, *rest = await outbox.advance_outbox(connection, published, 1000)
            await outbox.replace_outbox(connection, first, first.message)
            await outbox.delete_outbox(connection, rest)
            await outbox.insert_outbox(connection, [first.message], system.clock())
            await _repeated_batch(connection, TopicPartition("tests", 0))


async def _retention_works(system: Tocsin, service: str) -> None:
    """The first blocks of every table that ages: what is there is a year old."""
    entry = f"services.{service}.retention"
    texts = {"retention.yaml": b"", "intake.yaml": b""}
    plan = make_plan(texts, import_module(f"{entry}.policy").periods)
    now = system.clock()
    older_than = {kind: now - kept for kind, kept in plan.periods.items()}
    run = aging.Run(now, plan.version, older_than, {})
    with system.plans.during("retention"):
        async with system.databases[service].transaction() as connection:
            schedule = await aging.lock_schedule(connection)
            assert schedule == await aging.load_schedule(connection)
            for kind in import_module(f"{entry}.store").AGING:
                run.block = 0
                await aging.delete_aged(connection, kind, run)
            await aging.save_run(connection, run)
            message = retention_applied(service, run, now)
            await aging.end_run(connection, message, now + timedelta(days=1), now)


async def _repeated_batch(connection: Connection, tp: TopicPartition) -> None:
    """What a batch does whose row does not stand where it starts."""
    zero, one = offsets.StoredOffset(0), offsets.StoredOffset(1)
    await offsets.advance_offsets(connection, {tp: offsets.Advance(1, one)})
    await offsets.lock_offsets(connection, [tp], {tp: zero})
    await offsets.save_offsets(connection, {tp: one})
