"""A dead letter's record goes back to the service that failed on it, to no other, and has its
effect once.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any

import asyncpg
import orjson
import pytest

from services.intake.handlers import Handlers
from services.intake.incidents.policy import IntakePolicy
from services.reporting.audit.verifier import Verifier
from services.reporting.handlers import Handlers as ReportingHandlers
from services.reporting.topics import PROJECTED, RECORDED
from services.triage.catalogue.policy import read_catalogue
from services.triage.handlers import Handlers as TriageHandlers
from shared.events import intake
from shared.events.facts import event_message
from shared.events.message import OutboxMessage
from shared.events.rejections import DEAD_LETTERS
from shared.kafka.consumption import Consumption
from shared.kafka.dead_letters.reading import redrive_records
from shared.kafka.dead_letters.writing import dead_letter_for_record
from shared.kafka.handler import Handler
from shared.kafka.provisioning import apply_topics
from shared.kafka.record import Record
from shared.kafka.redrive import HEADER, with_redrive
from shared.kafka.security import Cluster
from shared.kafka.topics import REDRIVE, SIGNALS
from shared.postgres.connection import Connection
from shared.postgres.database import Database
from shared.postgres.relay import Relay
from shared.runtime.clock import system_clock
from tests.support.consuming import SERVICE, TOPIC, Diary, publish
from tests.support.dead_lettering import Tocsin, dead_letters, write_down
from tests.support.outage import Outage
from tests.support.running import alert, eventually
from tests.support.stack import runtime_dsn

NOON = datetime(2026, 3, 3, 12, tzinfo=UTC)
CATALOGUE = read_catalogue(
    b"{default_team: platform, services: {checkout: {team: payments, tier: 1}}}"
)


@asynccontextmanager
async def relaying(
    kafka: str, database: str, prefix: str, service: str = SERVICE
) -> AsyncIterator[None]:
    relay = asyncio.create_task(
        Relay(runtime_dsn(database, service), Cluster(kafka, prefix), service, system_clock).run()
    )
    try:
        yield
    finally:
        relay.cancel()
        with suppress(asyncio.CancelledError):
            await relay


@asynccontextmanager
async def consuming(
    kafka: str, database: str, prefix: str, service: str, handlers: Mapping[str, Handler]
) -> AsyncIterator[Database]:
    own = Database(runtime_dsn(database, service))
    consumption = Consumption(
        own, Cluster(kafka, prefix), group=service, handlers=handlers, clock=system_clock
    )
    task = asyncio.create_task(consumption.run())
    try:
        yield own
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await own.close()


async def test_a_record_goes_back_once_its_cause_is_fixed(
    kafka: str, database: str, topic_prefix: str, diary: Diary, tocsin: Tocsin
) -> None:
    elsewhere: list[bytes | None] = []

    async def note(_: Connection, records: Sequence[Record]) -> None:
        elsewhere.extend(record.value for record in records)

    await diary.admin.execute("ALTER TABLE effects ADD CONSTRAINT cause CHECK (value <> 'b')")
    await publish(kafka, topic_prefix + TOPIC, [b"a", b"b", b"c"])
    others = with_redrive("escalation", {TOPIC: note})
    async with (
        relaying(kafka, database, topic_prefix),
        consuming(kafka, database, topic_prefix, "escalation", others),
        diary.service(kafka, topic_prefix, handlers=with_redrive(SERVICE, {TOPIC: diary.write})),
    ):
        await diary.reaches(2)
        [letter] = await dead_letters(kafka, topic_prefix)
        listed = await tocsin("list")
        assert all(
            text in listed
            for text in (letter.id[-12:], "things/0@1", "CheckViolationError", "possible")
        )

        # Before the cause is fixed it comes to the same end, under the same id.
        await tocsin("redrive", letter.id[-12:])

        async def failed_again() -> bool:
            [now] = await dead_letters(kafka, topic_prefix)
            return now.event_id != letter.event_id and now.id == letter.id and not now.redriven

        await eventually("the same letter again", failed_again)

        await diary.admin.execute("ALTER TABLE effects DROP CONSTRAINT cause")
        assert "1 redriven, 0 skipped" in await tocsin("redrive", "--all", "--service", SERVICE)
        await diary.reaches(3)
        assert "0 redriven, 1 skipped" in await tocsin("redrive", letter.id)
        assert "redriven" in await tocsin("list")

        await publish(kafka, topic_prefix + TOPIC, [b"d"])
        await diary.reaches(4)

        async def read_to_the_end() -> Any:
            query = "SELECT next_offset FROM escalation.offsets WHERE topic = $1"
            return await diary.admin.fetchval(query, REDRIVE) == 2 and b"d" in elsewhere

        await eventually("the other service has read all", read_to_the_end)

    assert await diary.values() == [b"a", b"c", b"b", b"d"]
    assert elsewhere == [b"a", b"b", b"c", b"d"], (
        "what comes back to one service is nothing to another"
    )


async def test_a_record_comes_back_as_it_was(
    kafka: str, topic_prefix: str, database: str, tocsin: Tocsin
) -> None:
    headers = ((HEADER, b"of the publisher's own"), ("bad", b"\xff\0"), ("bad", b""))
    lost = Record(TOPIC, 0, 7, NOON, b"\xfe", b"", headers)
    seen: list[Record] = []

    async def note(_: Connection, records: Sequence[Record]) -> None:
        seen.extend(records)

    await write_down(
        kafka, topic_prefix, dead_letter_for_record(lost, ValueError("no"), SERVICE, NOON)
    )
    async with consuming(
        kafka, database, topic_prefix, SERVICE, with_redrive(SERVICE, {TOPIC: note})
    ):
        await tocsin("redrive", "--all", "--service", SERVICE)

        async def is_back() -> bool:
            return bool(seen)

        await eventually("it is back", is_back)
    assert seen == [lost]


SERVICES: dict[str, tuple[str, Callable[[], dict[str, Handler]], str, str]] = {
    "intake": (
        SIGNALS,
        lambda: with_redrive("intake", {SIGNALS: Handlers(IntakePolicy, system_clock).on_signals}),
        "signals",
        "SELECT signal_count, (SELECT count(*) FROM intake.outbox"
        " WHERE topic = 'tocsin.intake.v1') FROM intake.incidents",
    ),
    "triage": (
        intake.TOPIC,
        lambda: with_redrive(
            "triage", {intake.TOPIC: TriageHandlers(lambda: CATALOGUE, system_clock).on_intake}
        ),
        "incidents",
        "SELECT count(*), (SELECT count(*) FROM triage.outbox"
        " WHERE topic = 'tocsin.triage.v1') FROM triage.incidents",
    ),
    "reporting": (
        intake.TOPIC,
        lambda: {
            **dict.fromkeys(RECORDED, ReportingHandlers(system_clock).record),
            **dict.fromkeys(PROJECTED, ReportingHandlers(system_clock).record_and_project),
            REDRIVE: ReportingHandlers(system_clock).record_and_redrive,
        },
        "timeline",
        "SELECT count(*), (SELECT count(*) FROM reporting.outbox"
        " WHERE topic = 'tocsin.incidents.v1') FROM reporting.timeline",
    ),
}
"""What a service reads, what works on it, the table whose fault is the cause, and how to count the
effects.
"""


@pytest.mark.parametrize("service", SERVICES)
async def test_a_record_redriven_twice_has_its_effect_once(
    kafka: str, database: str, topic_prefix: str, service: str
) -> None:
    topic, handlers, table, effects = SERVICES[service]
    await apply_topics(kafka, topic_prefix)
    admin = await asyncpg.connect(database)
    await admin.execute(f"ALTER TABLE {service}.{table} ADD CONSTRAINT cause CHECK (false)")
    message = event_message(Outage().reported())
    value = orjson.dumps(alert("1")) if service == "intake" else message.value
    await write_down(kafka, topic_prefix, OutboxMessage(topic, message.key, value))

    async with consuming(kafka, database, topic_prefix, service, handlers()) as own:
        [letter] = await dead_lettered(admin, service)
        await write_down(kafka, topic_prefix, letter)
        await admin.execute(f"ALTER TABLE {service}.{table} DROP CONSTRAINT cause")
        [found] = await dead_letters(kafka, topic_prefix)
        await redrive_records(kafka, topic_prefix, [found], lambda: None)
        await redrive_records(kafka, topic_prefix, [found], lambda: None)

        async def done() -> bool:
            query = f"SELECT next_offset FROM {service}.offsets WHERE topic = $1"
            return bool(await admin.fetchval(query, REDRIVE) == 2)

        await eventually("both are read", done)
        assert [tuple(row) for row in await admin.fetch(effects)] == [(1, 1)]
        assert len(await dead_lettered(admin, service)) == 1
        if service == "reporting":
            async with own.connection() as connection:
                verdicts = [verdict async for verdict in Verifier(connection).verify()]
            assert {(v.topic, v.records, v.broken) for v in verdicts} >= {
                (topic, 1, None),
                (REDRIVE, 2, None),
            }
    await admin.close()


async def dead_lettered(
    admin: "asyncpg.Connection[asyncpg.Record]", service: str
) -> list[OutboxMessage]:
    """The dead letters in a service's outbox, once there are some."""
    query = f"SELECT key, value FROM {service}.outbox WHERE topic = $1"
    rows = await eventually("a dead letter", lambda: admin.fetch(query, DEAD_LETTERS))
    return [OutboxMessage(DEAD_LETTERS, row["key"], row["value"]) for row in rows]
