"""The ceiling: the same events over the same Kafka and PostgreSQL, with nothing done to them.

Each of two hops is a process that consumes a batch, writes offsets, state and outbox in one
transaction, publishes and deletes. A sink reads the last topic. There is no HTTP, no validation, no
policy and no audit: this is what two durable hops cost on this machine.
"""

import asyncio
import sys
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any, TypeAlias

import asyncpg
import orjson
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from shared.kafka.provisioning import apply_topics
from shared.kafka.topics import Topic
from tests.bench.figures import Figures, figures
from tests.bench.generator import Job
from tests.bench.measured import Inbox, inbox, run
from tests.bench.receiver import Received, serve
from tests.bench.servers import Servers
from tests.bench.workloads import Workload, bodies, thing_in
from tests.support.running import eventually
from tests.support.stack import drop_database, name_of, new_database

NAME = "bare loop"
_TOPICS = ("bare.0", "bare.1", "bare.2")
_SCHEMA = """
CREATE SCHEMA {hop};
CREATE TABLE {hop}.offsets (
    topic text, "partition" integer, next_offset bigint, PRIMARY KEY (topic, "partition")
);
CREATE TABLE {hop}.state (id text PRIMARY KEY, body jsonb NOT NULL, sequence bigint NOT NULL);
CREATE TABLE {hop}.outbox (id bigserial PRIMARY KEY, key bytea NOT NULL, value bytea NOT NULL);
"""
_SAVE_OFFSETS = """
INSERT INTO offsets SELECT * FROM unnest($1::text[], $2::integer[], $3::bigint[])
ON CONFLICT (topic, "partition") DO UPDATE SET next_offset = EXCLUDED.next_offset
"""
_SAVE_STATE = """
INSERT INTO state SELECT id, body, 1 FROM unnest($1::text[], $2::jsonb[]) AS event (id, body)
ON CONFLICT (id) DO UPDATE SET body = EXCLUDED.body, sequence = state.sequence + 1
"""
_SAVE_OUTBOX = "INSERT INTO outbox (key, value) SELECT * FROM unnest($1::bytea[], $2::bytea[])"
_READ_OUTBOX = "SELECT id, key, value FROM outbox ORDER BY id LIMIT 1000"
_EMPTY_OUTBOX = "DELETE FROM outbox WHERE id = ANY($1::bigint[])"
_BATCH = 500
Connection: TypeAlias = "asyncpg.Connection[Any]"


class Hop:
    """Consumes one topic and publishes to the next."""

    def __init__(self, bootstrap: str, dsn: str, name: str, source: str, target: str) -> None:
        self._bootstrap, self._dsn, self._name = bootstrap, dsn, name
        self._source, self._target = source, target
        self._written = asyncio.Event()

    async def run(self) -> None:
        """Run until the process is ended."""
        consumer = AIOKafkaConsumer(
            self._source,
            bootstrap_servers=self._bootstrap,
            group_id=f"{self._source} {self._name}",
            auto_offset_reset="earliest",
            enable_auto_commit=False,
        )
        producer = AIOKafkaProducer(bootstrap_servers=self._bootstrap, enable_idempotence=True)
        async with consumer, producer:
            await asyncio.gather(self._consume(consumer), self._relay(producer))

    async def _connect(self) -> Connection:
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

    async def _write(self, connection: Connection, polled: dict[Any, list[Any]]) -> None:
        records = [record for batch in polled.values() for record in batch]
        events = [orjson.loads(record.value) for record in records]
        await connection.execute(
            _SAVE_OFFSETS,
            [place.topic for place in polled],
            [place.partition for place in polled],
            [batch[-1].offset + 1 for batch in polled.values()],
        )
        await connection.execute(
            _SAVE_STATE,
            [event["id"] for event in events],
            [record.value.decode() for record in records],
        )
        await connection.execute(
            _SAVE_OUTBOX,
            [record.key for record in records],
            [orjson.dumps(event | {"hop": self._name}) for event in events],
        )

    async def _relay(self, producer: AIOKafkaProducer) -> None:
        connection = await self._connect()
        while True:
            rows = await connection.fetch(_READ_OUTBOX)
            if not rows:
                await self._written.wait()
                self._written.clear()
                continue
            sent = [await producer.send(self._target, row["value"], row["key"]) for row in rows]
            await asyncio.gather(*sent)
            await connection.execute(_EMPTY_OUTBOX, [row["id"] for row in rows])


async def _sink(port: int, bootstrap: str, topic: str) -> None:
    received = Received()
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest")

    async def consume() -> None:
        async with consumer:
            while True:
                for batch in (await consumer.getmany(timeout_ms=1000)).values():
                    for record in batch:
                        received.note(record.value)

    await asyncio.gather(serve(port, received), consume())


async def through_bare_loop(workload: Workload, servers: Servers) -> Figures:
    """Run a workload through two hops into a sink, on new topics and a new database."""
    prefix = f"b{uuid.uuid4().hex[:8]}."
    topics = [prefix + topic for topic in _TOPICS]
    made = [Topic(topic, retention=timedelta(days=1)) for topic in _TOPICS]
    await apply_topics(servers.kafka, prefix, made)
    job = Job(
        bodies(workload),
        bootstrap=servers.kafka,
        topic=topics[0],
        keys=[str(workload.thing(event)) for event in workload.numbers],
        rate=workload.rate,
    )
    last = ("sink", servers.kafka, topics[-1])
    async with _hops(servers, topics) as hops, inbox("tests.bench.bare_loop", *last) as sink:
        await _warmed_up(servers.kafka, topics[0], sink)
        groups = hops | servers.processes()
        noted = await run(job, sink, workload.events, groups, _thing)
        return figures(NAME, workload, *noted)


@asynccontextmanager
async def _hops(servers: Servers, topics: Sequence[str]) -> AsyncIterator[dict[str, list[int]]]:
    """The pids of both hops, by name; they and their database end with the block."""
    async with AsyncExitStack() as stack:
        dsn = await new_database(servers.postgres)
        stack.push_async_callback(drop_database, servers.postgres, name_of(dsn))
        await _make_schemas(dsn)
        hops = {}
        for name, source, target in zip(("hop1", "hop2"), topics[:-1], topics[1:], strict=True):
            hop = _process("hop", servers.kafka, dsn, name, source, target)
            hops[name] = [await stack.enter_async_context(hop)]
        yield hops


async def _make_schemas(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        for hop in ("hop1", "hop2"):
            await connection.execute(_SCHEMA.format(hop=hop))
    finally:
        await connection.close()


async def _warmed_up(bootstrap: str, topic: str, sink: Inbox) -> None:
    """Wait until a first event has arrived at the sink: all consumers have joined then."""
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        await producer.send_and_wait(topic, orjson.dumps({"id": "first"}), b"first")

    async def through() -> bool:
        return await sink.count() > 0

    await eventually("an event goes through the bare loop", through)


@asynccontextmanager
async def _process(*arguments: str) -> AsyncIterator[int]:
    """The pid of this module run with arguments; the process ends with the block."""
    command = ("-m", "tests.bench.bare_loop", *arguments)
    process = await asyncio.create_subprocess_exec(sys.executable, *command)
    try:
        yield process.pid
    finally:
        process.kill()
        await process.wait()


def _thing(event: Any) -> list[int]:
    return [thing_in(event["data"]["summary"])]


async def _main(role: str, arguments: Sequence[str]) -> None:
    if role == "hop":
        await Hop(*arguments).run()
    else:
        port, bootstrap, topic = arguments
        await _sink(int(port), bootstrap, topic)


if __name__ == "__main__":
    uvloop.run(_main(sys.argv[1], sys.argv[2:]))
