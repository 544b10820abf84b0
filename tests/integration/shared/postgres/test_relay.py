"""What is committed to an outbox gets to Kafka: all of it, in order, soon."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from aiokafka.structs import ConsumerRecord

from shared.events.message import OutboxMessage
from shared.events.rejections import DEAD_LETTERS
from shared.kafka.access.acls import Acl
from shared.kafka.provisioning import apply_topics
from shared.kafka.security import PLAINTEXT, Cluster, Security
from shared.kafka.topics import Topic
from shared.postgres import leadership
from shared.postgres import relay as relay_module
from shared.postgres.database import Database
from shared.postgres.outbox import insert_outbox
from shared.postgres.relay import Relay
from shared.runtime.clock import Clock, system_clock
from tests.support.reading import reading
from tests.support.running import eventually, free_port
from tests.support.secured_kafka import STRANGER, SecuredKafka, allow

TOPIC = "tocsin.intake.v1"


@pytest.fixture
async def topic(kafka: str, topic_prefix: str) -> str:
    """The full name of the topic that the tests write to; the dead letters are there as well."""
    await apply_topics(
        kafka, topic_prefix, [Topic(TOPIC, partitions=3), Topic(DEAD_LETTERS, partitions=1)]
    )
    return topic_prefix + TOPIC


@pytest.fixture
def _no_polling(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only notifications and what the relay knows itself make it publish."""
    monkeypatch.setattr(leadership, "PING_SECONDS", 60)


@pytest.fixture
def _no_deletion_when_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Published rows stay until the next read, as if every read came soon."""
    monkeypatch.setattr(relay_module, "_DELETE_SECONDS", 60)


@contextmanager
def relaying(
    intake: Database,
    kafka: str,
    prefix: str,
    clock: Clock = system_clock,
    security: Security = PLAINTEXT,
) -> Iterator[Relay]:
    relay = Relay(intake.dsn, Cluster(kafka, prefix, security), "intake", clock)
    task = asyncio.create_task(relay.run())
    try:
        yield relay
        assert not task.done(), task.exception()
    finally:
        task.cancel()


def message(value: bytes | None, key: bytes = b"key", **headers: str) -> OutboxMessage:
    return OutboxMessage(TOPIC, key, value, headers)


async def write(intake: Database, *messages: OutboxMessage) -> None:
    async with intake.transaction() as connection:
        await insert_outbox(connection, messages, system_clock())


async def waiting(intake: Database) -> int:
    async with intake.connection() as connection:
        count: int = await connection.fetchval("SELECT count(*) FROM outbox")
    return count


async def test_two_writers_at_once_keep_the_order_of_each_key(
    intake: Database, kafka: str, topic: str, topic_prefix: str
) -> None:
    keys, rounds = [b"a", b"b", b"c"], 60
    written = dict.fromkeys(keys, 0)

    async def writer() -> None:
        for number in range(rounds):
            async with intake.transaction() as connection:
                # Whoever writes about an incident holds its row; here a lock by name stands for the
                # row.
                key = keys[number % len(keys)]
                await connection.execute("SELECT pg_advisory_xact_lock(hashtext($1))", key.decode())
                written[key] += 1
                await insert_outbox(
                    connection, [message(b"%d" % written[key], key)], system_clock()
                )

    with relaying(intake, kafka, topic_prefix):
        async with reading(kafka, topic) as reader:
            await asyncio.gather(writer(), writer())
            await reader.until("all", lambda records: len(records) >= 2 * rounds)

    for key in keys:
        values = [int(record.value or 0) for record in reader.records if record.key == key]
        assert values == list(range(1, written[key] + 1))
    await eventually("an empty outbox", lambda: _is_empty(intake))


async def _is_empty(intake: Database) -> bool:
    return await waiting(intake) == 0


@pytest.mark.usefixtures("_no_polling")
async def test_what_was_committed_before_a_crash_is_published_after_it(
    intake: Database, kafka: str, topic: str, topic_prefix: str
) -> None:
    count = 2500  # more than one batch
    await write(intake, *(message(b"%d" % number) for number in range(count)))

    with relaying(intake, kafka, topic_prefix):
        async with reading(kafka, topic) as reader:
            assert await reader.values(b"%d" % (count - 1)) == [
                b"%d" % number for number in range(count)
            ]


async def test_a_message_is_published_as_it_was_written(
    intake: Database, kafka: str, topic: str, topic_prefix: str
) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    await write(
        intake, message(b"\x00\xff", traceparent=trace, tracestate="a=1", note="é"), message(None)
    )

    with relaying(intake, kafka, topic_prefix):
        async with reading(kafka, topic) as reader:
            await reader.until("both", lambda records: len(records) == 2)

    first, tombstone = reader.records
    assert first.value == b"\x00\xff"
    assert dict(first.headers) == {
        "traceparent": trace.encode(),
        "tracestate": b"a=1",
        "note": "é".encode(),
    }
    assert (tombstone.key, tombstone.value) == (b"key", None)


@pytest.mark.usefixtures("_no_polling")
async def test_a_notification_wakes_the_relay(
    intake: Database, kafka: str, topic: str, topic_prefix: str
) -> None:
    async def session() -> int | None:
        async with intake.connection() as connection:
            leader: int | None = await connection.fetchval(
                "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted"
                " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            )
        return leader

    with relaying(intake, kafka, topic_prefix):
        async with reading(kafka, topic) as reader:
            await write(intake, message(b"first"))
            await reader.values(b"first")
            leader = await session()
            await write(intake, message(b"second"))
            await reader.values(b"second")
            assert leader is not None
            assert await session() == leader


@asynccontextmanager
async def _door(port: int, kafka: str) -> AsyncIterator[None]:
    """Lets connections to `port` through to the broker."""

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
        writer.close()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, _, broker_port = kafka.rpartition(":")
        broker = await asyncio.open_connection(host, int(broker_port))
        await asyncio.gather(
            pipe(reader, broker[1]), pipe(broker[0], writer), return_exceptions=True
        )

    server = await asyncio.start_server(connected, "127.0.0.1", port)
    try:
        yield
    finally:
        server.close()


async def test_without_kafka_it_says_so_after_a_minute_and_publishes_when_kafka_comes(
    intake: Database, kafka: str, topic: str, topic_prefix: str
) -> None:
    now = datetime(2026, 3, 29, 1, 59, tzinfo=UTC)
    port = free_port()
    with relaying(intake, f"127.0.0.1:{port}", topic_prefix, lambda: now) as relay:
        async with intake.transaction() as connection:
            await insert_outbox(connection, [message(b"1"), message(b"2")], now)

        now += timedelta(seconds=59)
        assert relay.problems() == []
        now += timedelta(seconds=2)
        await eventually("a problem", lambda: asyncio.sleep(0, relay.problems()))
        assert relay.problems() == ["the oldest event has waited 61 s to be published"]

        async with _door(port, kafka), reading(kafka, topic) as reader:
            assert await reader.values(b"2") == [b"1", b"2"]
            await eventually("no problem", lambda: asyncio.sleep(0, not relay.problems()))


async def test_what_kafka_refuses_is_said_at_once_and_holds_up_nothing_else(
    intake: Database, broker: SecuredKafka, topic_prefix: str
) -> None:
    user, other = STRANGER, topic_prefix + DEAD_LETTERS
    both = [Topic(TOPIC, partitions=1), Topic(DEAD_LETTERS, partitions=1)]
    await apply_topics(broker.bootstrap, topic_prefix, both)
    await write(intake, OutboxMessage(DEAD_LETTERS, b"key", b"0"), message(b"1"), message(b"2"))
    security = broker.security(user)
    with relaying(intake, broker.secured, topic_prefix, security=security) as relay:

        async def says(words: str) -> bool:
            return any(words in problem for problem in relay.problems())

        nothing = f"User:{user} may not write to any topic"
        await eventually("it may write nothing", lambda: says(nothing))
        await allow(broker, Acl(2, topic_prefix + TOPIC, 3, f"User:{user}", 4))
        async with reading(broker.bootstrap, topic_prefix + TOPIC) as reader:
            assert await reader.values(b"2") == [b"1", b"2"]
            refused = f"User:{user} has no access to topic {other}: see `tocsin acls list`"
            await eventually("it may not write one topic", lambda: says(refused))
            await write(intake, message(b"3"))
            assert await reader.values(b"3") == [b"1", b"2", b"3"]
        await allow(broker, Acl(2, other, 3, f"User:{user}", 4))
        async with reading(broker.bootstrap, other) as reader:
            assert await reader.values(b"0") == [b"0"]
        await eventually("no problem", lambda: asyncio.sleep(0, not relay.problems()))


@pytest.mark.usefixtures("_no_polling")
@pytest.mark.parametrize(
    ("limit", "size"),
    [("2000000", 1_500_000), ("10000", 50_000)],
    ids=["more than the client sends", "more than the topic takes"],
)
async def test_a_message_that_is_too_large_does_not_hold_up_the_rest(
    intake: Database, kafka: str, topic_prefix: str, limit: str, size: int
) -> None:
    await _apply_with_limit(kafka, topic_prefix, limit)
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    large = message(b"x" * size, traceparent=trace)
    await write(intake, message(b"1"), large, message(b"2"), large, message(b"3"))

    with relaying(intake, kafka, topic_prefix):
        async with reading(kafka, topic_prefix + TOPIC) as reader:
            assert await reader.values(b"3") == [b"1", b"2", b"3"]
        async with reading(kafka, topic_prefix + DEAD_LETTERS) as letters:
            await letters.until("both letters", lambda records: len(records) == 2)

    event = json.loads(letters.records[0].value or b"")
    assert event["type"] == "tocsin.dead-letters.MessageDeadLettered"
    assert event["traceparent"] == trace
    assert event["data"]["service"] == "intake"
    assert event["data"]["origin"] == f"outbox {TOPIC}"
    assert event["data"]["reason"] == f"too large for {TOPIC}: {size} bytes"
    assert event["data"]["key"] == "key"
    assert event["data"]["value"] is None


@pytest.mark.usefixtures("_no_polling")
async def test_neighbours_of_a_message_that_the_broker_refuses_go_out_once(
    intake: Database, kafka: str, topic_prefix: str
) -> None:
    await _apply_with_limit(kafka, topic_prefix, "10000", partitions=3)
    keys = [b"%d" % number for number in range(30)]
    messages = [message(b"x", key) for key in keys]
    messages[10:10] = [message(b"x" * 50_000, b"large")]
    await write(intake, *messages)

    with relaying(intake, kafka, topic_prefix):
        async with reading(kafka, topic_prefix + TOPIC) as reader:
            await reader.until("all", lambda records: len(records) >= 30)
            await eventually("an empty outbox", lambda: _is_empty(intake))
            await write(intake, *(message(b"last", key) for key in keys))
            await reader.until("the last", lambda records: _lasts(records) == 30)

    assert sorted(r.key for r in reader.records if r.value == b"x") == sorted(keys)


def _lasts(records: Sequence[ConsumerRecord[bytes, bytes]]) -> int:
    return sum(record.value == b"last" for record in records)


async def _apply_with_limit(kafka: str, prefix: str, limit: str, partitions: int = 1) -> None:
    class Limited(Topic):
        @property
        def configuration(self) -> dict[str, str]:
            return {**super().configuration, "max.message.bytes": limit}

    await apply_topics(
        kafka, prefix, [Limited(TOPIC, partitions=partitions), Topic(DEAD_LETTERS, partitions=1)]
    )


@asynccontextmanager
async def stopped_afterwards(intake: Database, kafka: str, prefix: str) -> AsyncIterator[Relay]:
    """A relay that is stopped as a service stops it: the block's end waits for it."""
    relay = Relay(intake.dsn, Cluster(kafka, prefix), "intake", system_clock)
    task = asyncio.create_task(relay.run())
    try:
        yield relay
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.wait_for(task, 10)
    assert task.cancelled()


async def acknowledged(relay: Relay) -> None:
    """Readers see a message before the relay hears that it was published: until then its row is
    published once more after a stop.
    """

    async def hears() -> bool:
        return bool(relay._published)

    await eventually("what was published is known to be", hears)


@pytest.mark.usefixtures("_no_polling", "_no_deletion_when_idle")
async def test_the_next_read_deletes_what_was_published_and_a_stop_what_is_left(
    intake: Database, kafka: str, topic: str, topic_prefix: str
) -> None:
    await write(intake, message(b"1"))
    async with reading(kafka, topic) as reader:
        async with stopped_afterwards(intake, kafka, topic_prefix) as relay:
            await reader.values(b"1")
            for number in (b"2", b"3"):
                await acknowledged(relay)
                await write(intake, message(number))
                await reader.values(number)
                assert await waiting(intake) == 1
            await acknowledged(relay)
        assert await waiting(intake) == 0

        async with stopped_afterwards(intake, kafka, topic_prefix) as relay:
            await write(intake, message(b"4"))
            assert await reader.values(b"4") == [b"1", b"2", b"3", b"4"]
            await acknowledged(relay)


@pytest.mark.usefixtures("_no_polling", "_no_deletion_when_idle")
async def test_a_stop_during_the_read_that_deletes_ends_the_relay_and_leaves_no_published_row(
    intake: Database, kafka: str, topic: str, topic_prefix: str
) -> None:
    async def blocked() -> bool:
        async with intake.connection() as connection:
            count: int = await connection.fetchval(
                "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'intake relay'"
                " AND datname = current_database() AND wait_event_type = 'Lock'"
            )
        return count == 1

    await write(intake, message(b"1"))
    async with intake.connection() as other, reading(kafka, topic) as reader:
        async with stopped_afterwards(intake, kafka, topic_prefix):
            await reader.values(b"1")
            lock = other.transaction()
            await lock.start()
            await other.execute("LOCK TABLE outbox IN EXCLUSIVE MODE")
            async with intake.connection() as connection:
                await connection.execute("SELECT pg_notify('intake.outbox', '')")
            await eventually("the read waits", blocked)
            asyncio.get_running_loop().call_later(0.2, asyncio.ensure_future, lock.rollback())
        assert await waiting(intake) == 0


@pytest.mark.usefixtures("_no_deletion_when_idle")
async def test_a_session_that_ends_before_the_deletion_costs_a_repetition_and_no_message(
    intake: Database, database: str, kafka: str, topic: str, topic_prefix: str
) -> None:
    await write(intake, message(b"1"))
    async with reading(kafka, topic) as reader, stopped_afterwards(intake, kafka, topic_prefix):
        await reader.values(b"1")
        await _end_session(database)
        await write(intake, message(b"2"))
        assert await reader.values(b"2") == [b"1", b"1", b"2"]


async def _end_session(database: str) -> None:
    admin = await asyncpg.connect(database)
    assert await admin.fetch(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name = 'intake relay' AND datname = current_database()"
    )
    await admin.close()


async def test_a_lost_database_connection_costs_nothing(
    intake: Database, database: str, kafka: str, topic: str, topic_prefix: str
) -> None:
    with relaying(intake, kafka, topic_prefix):
        async with reading(kafka, topic) as reader:
            await write(intake, message(b"1"))
            await reader.values(b"1")
            await _end_session(database)
            await write(intake, message(b"2"))
            values = await reader.values(b"2")
    # The first may come again, if the session ended between publishing and deleting.
    assert values in ([b"1", b"2"], [b"1", b"1", b"2"])
