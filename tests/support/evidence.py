"""What is observable of a Tocsin once it is idle: topics, tables, and the pages that arrived."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

import asyncpg
import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.structs import ConsumerRecord

from services.reporting.audit.verifier import Verifier
from shared.events import commands, escalation, intake, reporting, triage
from shared.kafka.topics import REDRIVE, SIGNALS, TOPICS
from shared.postgres.connection import Connection
from shared.postgres.database import prepare
from tests.support.running import SERVICES, Received, Truth
from tests.support.stack import runtime_dsn

SUBSCRIPTIONS = {
    "intake": (SIGNALS, escalation.TOPIC, REDRIVE),
    "triage": (intake.TOPIC, REDRIVE),
    "escalation": (triage.TOPIC, commands.TOPIC, REDRIVE),
    "reporting": tuple(topic.name for topic in TOPICS if topic.name != reporting.TOPIC),
}
_TABLES = {
    "signals": "SELECT origin, signal_id, decision, subject::text FROM intake.signals",
    "intake": "SELECT incident_id::text AS id, status, sequence, signal_count"
    " FROM intake.incidents",
    "triage": "SELECT incident_id::text AS id, sequence, intake_sequence FROM triage.incidents",
    "escalation": "SELECT id::text, status, sequence, state FROM escalation.incidents",
    "deliveries": "SELECT *, incident_id::text AS incident FROM escalation.deliveries",
    "timers": "SELECT subject::text AS id, due_at FROM escalation.timers",
    "reporting": "SELECT *, incident_id::text AS id FROM reporting.incidents",
    "timeline": "SELECT incident_id::text AS id, producer, sequence FROM reporting.timeline",
    "audit": 'SELECT topic, "partition", "offset", value FROM reporting.audit',
}
_DUE = {
    "pending updates": "SELECT count(*) FROM intake.incidents"
    " WHERE held_back AND status = 'open' AND $1 > told_at",
    "pages": "SELECT count(*) FROM escalation.deliveries"
    " WHERE status ~ 'pending|sending' AND due_at < $1",
    "timers": "SELECT count(*) FROM escalation.timers WHERE due_at < $1",
}
Row = Any
Record: TypeAlias = "ConsumerRecord[bytes, bytes]"


@dataclass(frozen=True)
class Evidence:
    """Everything observable once the system is idle. `records` are by topic without prefix, repeats
    included.
    """

    records: dict[str, list[Record]]
    tables: dict[str, list[Row]]
    waiting: dict[str, int]
    broken_chains: list[str]
    pages: Sequence[Received]

    def events(self, topic: str) -> list[dict[str, Any]]:
        """The events of a topic, each once, however often it was published."""
        return list(
            {
                event["id"]: event
                for event in (orjson.loads(r.value or b"") for r in self.records[topic])
            }.values()
        )

    def by_id(self, table: str) -> dict[str, Row]:
        """Rows by incident."""
        return {row["id"]: row for row in self.tables[table]}


class Checker:
    """Observes one installation."""

    def __init__(
        self, consumer: AIOKafkaConsumer, connection: Connection, database: str, prefix: str
    ) -> None:
        self._consumer = consumer
        self._connection = connection
        self._database = database
        self._prefix = prefix
        self._records: dict[str, list[Record]] = {topic.name: [] for topic in TOPICS}

    async def settled(self) -> Truth:
        """Whether the system is idle: everything is published and read, and no page or timer is due
        within a minute.
        """
        await self._read()
        known = sum(map(len, self._records.values()))
        busy = {
            f"{service} has not read {place}": 1
            for service in SERVICES
            for place in await self._unread(service)
        }
        # Only now: what a service has read is by now in its outbox, or has left it.
        busy |= {
            f"outbox of {service}": count
            for service, count in (await self._outboxes()).items()
            if count
        }
        soon = datetime.now(UTC) + timedelta(minutes=1)
        for what, query in _DUE.items():
            if count := await self._connection.fetchval(query, soon):
                busy[what] = count
        await self._read()
        if news := sum(map(len, self._records.values())) - known:
            busy["published meanwhile"] = news
        return Truth(not busy, str(busy))

    async def evidence(self, pages: Sequence[Received]) -> Evidence:
        """Collect all evidence; call it once the system has settled."""
        await self._read()
        tables = {name: await self._connection.fetch(query) for name, query in _TABLES.items()}
        return Evidence(
            self._records, tables, await self._outboxes(), await self._broken_chains(), pages
        )

    async def _outboxes(self) -> dict[str, int]:
        return {
            s: await self._connection.fetchval(f"SELECT count(*) FROM {s}.outbox") for s in SERVICES
        }

    async def _read(self) -> None:
        ends = await self._consumer.end_offsets(list(self._consumer.assignment()))
        while [place for place, end in ends.items() if await self._consumer.position(place) < end]:
            for place, records in (await self._consumer.getmany(timeout_ms=50)).items():
                self._records[place.topic.removeprefix(self._prefix)] += records

    async def _unread(self, service: str) -> list[str]:
        query = f'SELECT topic, "partition", last_offset FROM {service}.offsets'
        rows = await self._connection.fetch(query)
        done = {(row["topic"], row["partition"]): row["last_offset"] for row in rows}
        last = {
            (topic, r.partition): r.offset
            for topic in SUBSCRIPTIONS[service]
            for r in self._records[topic]
        }
        return [
            f"{topic}/{n}" for (topic, n), offset in last.items() if done.get((topic, n)) != offset
        ]

    async def _broken_chains(self) -> list[str]:
        connection = await asyncpg.connect(runtime_dsn(self._database, "reporting"))
        try:
            await prepare(connection)
            verdicts = [verdict async for verdict in Verifier(connection).verify()]
        finally:
            await connection.close()
        return [f"{v.topic}/{v.partition}: {v.broken}" for v in verdicts if v.broken]


@asynccontextmanager
async def checking(kafka: str, database: str, prefix: str) -> AsyncIterator[Checker]:
    """A checker of the installation with this admin DSN and topic prefix."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=kafka,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
    )
    await consumer.start()
    connection = await asyncpg.connect(database)
    try:
        await prepare(connection)
        consumer.assign(
            [TopicPartition(prefix + t.name, n) for t in TOPICS for n in range(t.partitions)]
        )
        yield Checker(consumer, connection, database, prefix)
    finally:
        await connection.close()
        await consumer.stop()
