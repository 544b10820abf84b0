"""A service that only writes down what it was given, so that a test can count what was lost and
what was done twice.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import urlencode

import asyncpg
import orjson
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from shared.events.rejections import DEAD_LETTERS
from shared.kafka.consumption import Consumption
from shared.kafka.handler import Handler
from shared.kafka.record import Record
from shared.kafka.security import PLAINTEXT, Cluster
from shared.postgres.connection import Connection
from shared.postgres.database import Database
from shared.postgres.writes import Write
from shared.runtime.clock import system_clock
from tests.support.running import eventually
from tests.support.stack import runtime_dsn

TOPIC = "things"
SERVICE = "triage"
STATE = ("effects", "offsets", "outbox")


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
        await eventually("the topic is there", lambda: _partitions(admin, name))


async def delete_topic(kafka: str, name: str) -> None:
    """Delete a topic and wait until it is gone."""
    async with admin_client(kafka) as admin:
        await admin.delete_topics([name])

        async def gone() -> bool:
            return not await _partitions(admin, name)

        await eventually("the topic is gone", gone)


async def _partitions(admin: AIOKafkaAdminClient, name: str) -> int:
    [topic] = await admin.describe_topics([name])
    return 0 if topic["error_code"] else len(topic["partitions"])


def things(count: int, start: int = 0) -> list[bytes]:
    """So many different values."""
    return [b"%d" % number for number in range(start, start + count)]


async def publish(
    kafka: str,
    topic: str,
    values: Sequence[bytes | None],
    transaction: str | None = None,
    abort: bool = False,
) -> None:
    """Send values, keyed by themselves; in one transaction when it has a name, to be taken back
    with `abort`.
    """
    async with AIOKafkaProducer(bootstrap_servers=kafka, transactional_id=transaction) as producer:
        if transaction:
            await producer.begin_transaction()
        for sent in [await producer.send(topic, value, key=value or b"null") for value in values]:
            await sent
        if transaction:
            await (producer.abort_transaction() if abort else producer.commit_transaction())


async def is_reading(service: Consumption, partitions: int) -> bool:
    """Whether the service has so many partitions and no problem with any."""
    health = service.health()
    return not health["problems"] and len(health["lag"]) == partitions


async def has_problem(service: Consumption, words: str) -> bool:
    """Whether the service names such a problem."""
    return any(words in problem for problem in service.problems())


class Diary:
    """The table of effects in the service's schema. `settings` are those of the service's Postgres
    sessions.
    """

    def __init__(self, admin: "asyncpg.Pool[Any]", dsn: str) -> None:
        self.admin = admin
        self.settings = {"lock_timeout": "5s"}
        self._dsn = dsn

    async def values(self) -> list[bytes]:
        """What was done, in order."""
        return [
            row["value"] for row in await self.admin.fetch("SELECT value FROM effects ORDER BY id")
        ]

    async def wrong(self, expected: Sequence[bytes]) -> dict[bytes, int]:
        """What was lost (negative) or done more than once (positive)."""
        done = Counter(await self.values())
        done.subtract(Counter(expected))
        return {value: count for value, count in done.items() if count}

    async def reaches(self, length: int, seconds: float = 30) -> None:
        """Wait for so many effects."""

        async def is_long() -> Any:
            return await self.admin.fetchval("SELECT count(*) >= $1 FROM effects", length)

        await eventually(f"{length} effects", is_long, seconds)

    async def write(self, connection: Connection, records: Sequence[Record]) -> None:
        """The handler: one effect a record."""
        await connection.execute(
            "INSERT INTO effects (value) SELECT * FROM unnest($1::bytea[])",
            [record.value or b"" for record in records],
        )

    async def decide(self, _: Connection, records: Sequence[Record]) -> Sequence[Write | None]:
        """The same without a transaction."""
        values = [record.value or b"" for record in records]
        insert = "INSERT INTO effects (value) SELECT * FROM unnest($1::bytea[])"
        return [Write(insert, (values,), expected=len(values))]

    async def dead_letters(self) -> list[dict[str, Any]]:
        """The data of the dead letters, in order."""
        rows = await self.admin.fetch(
            "SELECT value FROM outbox WHERE topic = $1 ORDER BY id", DEAD_LETTERS
        )
        return [orjson.loads(row["value"])["data"] for row in rows]

    async def close_database(self) -> None:
        """Let the database end the service's sessions and accept no more."""
        name = await self.admin.fetchval("SELECT quote_ident(current_database())")
        await self.admin.execute(
            f"ALTER DATABASE {name} CONNECTION LIMIT 0"
        )  # superusers are exempt
        await self.admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND usename = $1",
            f"tocsin_{SERVICE}",
        )

    async def open_database(self) -> None:
        """Accept sessions again."""
        name = await self.admin.fetchval("SELECT quote_ident(current_database())")
        await self.admin.execute(f"ALTER DATABASE {name} CONNECTION LIMIT -1")

    async def back_up(self) -> None:
        """Keep this moment's state, all of it that a consumer changes."""
        for table in STATE:
            await self.admin.execute(f"CREATE TABLE {table}_kept AS TABLE {table}")

    async def put_back(self) -> None:
        """Make the state what it was when it was kept."""
        async with self.admin.acquire() as connection, connection.transaction():
            for table in STATE:
                await connection.execute(
                    f"DELETE FROM {table};"
                    f"INSERT INTO {table} OVERRIDING SYSTEM VALUE TABLE {table}_kept"
                )

    @asynccontextmanager
    async def service(
        self, kafka: str, prefix: str, handler: Handler | None = None, **options: Any
    ) -> AsyncIterator[Consumption]:
        """The service, consuming; stopped gracefully at the end."""
        cluster = Cluster(kafka, prefix, options.pop("security", PLAINTEXT))
        options = {"handlers": {TOPIC: handler or self.write}, "group": SERVICE, **options}
        if handler is None:  # then both ways to do the work are in use, as in triage
            options.setdefault("deciders", dict.fromkeys(options["handlers"], self.decide))
        async with self.database() as database:
            consumption = Consumption(database, cluster, clock=system_clock, **options)
            task = asyncio.create_task(consumption.run())
            try:
                yield consumption
                assert not task.done(), task
            finally:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    @asynccontextmanager
    async def database(self) -> AsyncIterator[Database]:
        """The service's own connections."""
        separator = "&" if "?" in self._dsn else "?"
        database = Database(self._dsn + separator + urlencode(self.settings))
        try:
            yield database
        finally:
            await database.close()


@asynccontextmanager
async def open_diary(database: str) -> AsyncIterator[Diary]:
    """A new, empty table of effects."""
    settings = {"search_path": SERVICE}
    async with asyncpg.create_pool(
        database, min_size=1, max_size=3, server_settings=settings
    ) as admin:
        await admin.execute(
            f"CREATE TABLE effects (id bigint GENERATED ALWAYS AS IDENTITY, value bytea);"
            f"GRANT ALL ON effects TO tocsin_{SERVICE}"
        )
        yield Diary(admin, runtime_dsn(database, SERVICE))
