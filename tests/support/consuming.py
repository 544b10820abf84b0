"""A service that only writes down what it was given, so that a test can count what was lost and what was done twice."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import asyncpg
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from shared.clock import system_clock
from shared.consumption import Consumption, Handler
from shared.db import Connection, Database
from shared.record import Record

TOPIC = "things"
SERVICE = "triage"


def runtime_dsn(admin_dsn: str, service: str = SERVICE) -> str:
    """The DSN with the service's runtime role as its user."""
    parts = urlsplit(admin_dsn)
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=f"tocsin_{service}@{host}").geturl()


async def eventually(condition: Callable[[], Awaitable[object]], seconds: float = 20) -> None:
    """Wait until the condition holds; AssertionError when it does not in time."""
    deadline = time.monotonic() + seconds
    while not await condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {condition}"
        await asyncio.sleep(0.02)


@asynccontextmanager
async def admin_client(kafka: str) -> AsyncIterator[AIOKafkaAdminClient]:
    """Kafka's administration."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


async def make_topic(kafka: str, name: str, partitions: int = 1) -> None:
    """A topic that did not exist."""
    async with admin_client(kafka) as admin:
        await admin.create_topics([NewTopic(name, partitions, 1)])
        await eventually(lambda: _partitions(admin, name), 10)


async def delete_topic(kafka: str, name: str) -> None:
    """Delete a topic and wait until it is gone."""
    async with admin_client(kafka) as admin:
        await admin.delete_topics([name])

        async def gone() -> bool:
            return not await _partitions(admin, name)

        await eventually(gone, 10)


async def _partitions(admin: AIOKafkaAdminClient, name: str) -> int:
    [topic] = await admin.describe_topics([name])
    return 0 if topic["error_code"] else len(topic["partitions"])


async def publish(kafka: str, topic: str, values: Sequence[bytes | None], transaction: str | None = None) -> None:
    """Send values, keyed by themselves; all in one transaction when it has a name."""
    async with AIOKafkaProducer(bootstrap_servers=kafka, transactional_id=transaction) as producer:
        if transaction:
            await producer.begin_transaction()
        for sent in [await producer.send(topic, value, key=value or b"null") for value in values]:
            await sent
        if transaction:
            await producer.commit_transaction()


class Diary:
    """The table of effects in the service's schema."""

    def __init__(self, admin: "asyncpg.Connection[Any]", dsn: str) -> None:
        self.admin = admin
        self.dsn = dsn

    async def values(self) -> list[bytes]:
        """What was done, in order."""
        return [row["value"] for row in await self.admin.fetch("SELECT value FROM effects ORDER BY id")]

    async def wrong(self, expected: Sequence[bytes]) -> dict[bytes, int]:
        """What was lost (negative) or done more than once (positive)."""
        done = Counter(await self.values())
        done.subtract(Counter(expected))
        return {value: count for value, count in done.items() if count}

    async def is_long(self, length: int) -> bool:
        """Whether so many effects exist."""
        return bool(await self.admin.fetchval("SELECT count(*) >= $1 FROM effects", length))

    async def write(self, connection: Connection, records: Sequence[Record]) -> None:
        """The handler: one effect a record."""
        await connection.execute(
            "INSERT INTO effects (value) SELECT * FROM unnest($1::bytea[])", [record.value or b"" for record in records]
        )

    @asynccontextmanager
    async def service(
        self, kafka: str, prefix: str, handler: Handler | None = None, **options: Any
    ) -> AsyncIterator[Consumption]:
        """The service, consuming; stopped gracefully at the end."""
        database = Database(self.dsn)
        options = {"handlers": {TOPIC: handler or self.write}, **options}
        consumption = Consumption(
            database, bootstrap=kafka, group=SERVICE, clock=system_clock, topic_prefix=prefix, **options
        )
        task = asyncio.create_task(consumption.run())
        try:
            yield consumption
            assert not task.done(), task
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            await database.close()


async def open_diary(database: str) -> Diary:
    """A new, empty table of effects; the caller closes `admin`."""
    admin = await asyncpg.connect(database, server_settings={"search_path": SERVICE})
    await admin.execute(
        f"CREATE TABLE effects (id bigint GENERATED ALWAYS AS IDENTITY, value bytea); "
        f"GRANT ALL ON effects TO tocsin_{SERVICE}"
    )
    return Diary(admin, runtime_dsn(database))
