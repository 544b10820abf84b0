"""The ceiling: the same events over the same Kafka and Postgres with nothing done to them.

Two hops, each a process: consume a batch, one transaction with offsets, state and outbox, publish,
delete. A sink reads the last topic. No HTTP, no validation, no policy, no audit: what is left is
what two durable hops cost on this machine.
"""

import asyncio
import sys
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any

import asyncpg
import orjson
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from shared.kafka.topics import Topic, apply_topics
from tests.bench.figures import Figures, figures
from tests.bench.generator import Job
from tests.bench.measured import Inbox, inbox, run
from tests.bench.receiver import Received, serve
from tests.bench.servers import Servers
from tests.bench.workloads import Workload, bodies, told_of
from tests.support.running import eventually
from tests.support.stack import drop_database, name_of, new_database

NAME = "bare loop"
_TOPICS = ("bare.0", "bare.1", "bare.2")
_SCHEMA = """
CREATE SCHEMA {hop};
CREATE TABLE {hop}.offsets (topic text, "partition" integer, next_offset bigint, PRIMARY KEY (topic, "partition"));
CREATE TABLE {hop}.state (id text PRIMARY KEY, body jsonb NOT NULL, sequence bigint NOT NULL);
CREATE TABLE {hop}.outbox (id bigserial PRIMARY KEY, key bytea NOT NULL, value bytea NOT NULL);
"""
_BATCH = 500


class Hop:
    """Consumes one topic and publishes to the next."""

    def __init__(self, bootstrap: str, dsn: str, name: str, source: str, target: str) -> None:
        self._bootstrap, self._dsn, self._name = bootstrap, dsn, name
        self._source, self._target = source, target
        self._written = asyncio.Event()

    async def run(self) -> None:
        """Until the process is ended."""
        consumer = AIOKafkaConsumer(
            self._source,
            bootstrap_servers=self._bootstrap,
            group_id=f"{self._source} {self._name}",
            auto_offset_reset="earliest",
            enable_auto_commit=False,
        )
        async with (
            consumer,
            AIOKafkaProducer(
                bootstrap_servers=self._bootstrap, enable_idempotence=True
            ) as producer,
        ):
            await asyncio.gather(self._consume(consumer), self._relay(producer))

    async def _connect(self) -> "asyncpg.Connection[Any]":
        connection = await asyncpg.connect(self._dsn)
        await connection.execute(f"SET search_path = {self._name}")
        return connection

    async def _consume(self, consumer: AIOKafkaConsumer) -> None:
        connection = await self._connect()
        while True:
            polled = await consumer.getmany(timeout_ms=1000, max_records=_BATCH)
            if polled:
                async with connection.transaction():
                    await self._write(connection, polled)
                self._written.set()

    async def _write(
        self, connection: "asyncpg.Connection[Any]", polled: dict[Any, list[Any]]
    ) -> None:
        records = [record for batch in polled.values() for record in batch]
        events = [orjson.loads(record.value) for record in records]
        await connection.execute(
            """
            INSERT INTO offsets SELECT * FROM unnest($1::text[], $2::integer[], $3::bigint[])
            ON CONFLICT (topic, "partition") DO UPDATE SET next_offset = EXCLUDED.next_offset
            """,
            [place.topic for place in polled],
            [place.partition for place in polled],
            [batch[-1].offset + 1 for batch in polled.values()],
        )
        await connection.execute(
            """
            INSERT INTO state SELECT id, body, 1 FROM unnest($1::text[], $2::jsonb[]) AS event (id, body)
            ON CONFLICT (id) DO UPDATE SET body = EXCLUDED.body, sequence = state.sequence + 1
            """,
            [event["id"] for event in events],
            [record.value.decode() for record in records],
        )
        await connection.execute(
            "INSERT INTO outbox (key, value) SELECT * FROM unnest($1::bytea[], $2::bytea[])",
            [record.key for record in records],
            [orjson.dumps(event | {"hop": self._name}) for event in events],
        )

    async def _relay(self, producer: AIOKafkaProducer) -> None:
        connection = await self._connect()
        while True:
            rows = await connection.fetch(
                "SELECT id, key, value FROM outbox ORDER BY id LIMIT 1000"
            )
            if not rows:
                await self._written.wait()
                self._written.clear()
                continue
            await asyncio.gather(
                *[await producer.send(self._target, row["value"], row["key"]) for row in rows]
            )
            await connection.execute(
                "DELETE FROM outbox WHERE id = ANY($1::bigint[])", [row["id"] for row in rows]
            )


async def _sink(port: int, bootstrap: str, topic: str) -> None:
    received = Received()

    async def consume() -> None:
        async with AIOKafkaConsumer(
            topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest"
        ) as consumer:
            while True:
                for batch in (await consumer.getmany(timeout_ms=1000)).values():
                    for record in batch:
                        received.note(record.value)

    await asyncio.gather(serve(port, received), consume())


async def through_bare_loop(workload: Workload, servers: Servers) -> Figures:
    """The workload's events through two hops into a sink, on topics and a database of their own."""
    prefix = f"b{uuid.uuid4().hex[:8]}."
    topics = [prefix + topic for topic in _TOPICS]
    await apply_topics(
        servers.kafka, prefix, [Topic(topic, retention=timedelta(days=1)) for topic in _TOPICS]
    )
    keys = [str(workload.thing(event)) for event in workload.numbers]
    job = Job(
        bodies(workload), bootstrap=servers.kafka, topic=topics[0], keys=keys, rate=workload.rate
    )
    async with AsyncExitStack() as stack:
        dsn = await new_database(servers.postgres)
        stack.push_async_callback(drop_database, servers.postgres, name_of(dsn))
        await _make_schemas(dsn)
        hops = {
            name: [
                await stack.enter_async_context(
                    _process("hop", servers.kafka, dsn, name, source, target)
                )
            ]
            for name, source, target in zip(("hop1", "hop2"), topics[:-1], topics[1:], strict=True)
        }
        sink = await stack.enter_async_context(
            inbox("tests.bench.bare_loop", "sink", servers.kafka, topics[-1])
        )
        await _warmed_up(servers.kafka, topics[0], sink)
        groups = hops | servers.processes()
        return figures(NAME, workload, *await run(job, sink, workload.events, groups, _thing))


async def _make_schemas(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        for hop in ("hop1", "hop2"):
            await connection.execute(_SCHEMA.format(hop=hop))
    finally:
        await connection.close()


async def _warmed_up(bootstrap: str, topic: str, sink: Inbox) -> None:
    """Return when a first event has gone all the way: consumers have joined by then."""
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        await producer.send_and_wait(topic, orjson.dumps({"id": "first"}), b"first")

    async def through() -> bool:
        return await sink.count() > 0

    await eventually("an event goes through the bare loop", through)


@asynccontextmanager
async def _process(*arguments: str) -> AsyncIterator[int]:
    """The pid of a role of this module that runs inside the block."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bench.bare_loop", *arguments
    )
    try:
        yield process.pid
    finally:
        process.kill()
        await process.wait()


def _thing(event: Any) -> list[int]:
    return [told_of(event["data"]["summary"])]


async def _main(role: str, arguments: Sequence[str]) -> None:
    if role == "hop":
        await Hop(*arguments).run()
    else:
        port, bootstrap, topic = arguments
        await _sink(int(port), bootstrap, topic)


if __name__ == "__main__":
    uvloop.run(_main(sys.argv[1], sys.argv[2:]))
