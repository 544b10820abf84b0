"""One bad record costs that record alone: it goes to the dead letters with its reason, and the rest
commits.
"""

import base64
from collections.abc import Sequence
from typing import Any

import asyncpg
import orjson
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.consumer import fetcher
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy
from aiokafka.record.memory_records import MemoryRecords

from shared.kafka.consumption import keeper
from shared.kafka.record import Record
from shared.postgres.connection import Connection
from shared.postgres.database import Database
from shared.postgres.isolation import isolate
from tests.support.consuming import SERVICE, TOPIC, Diary, has_problem, make_topic, publish
from tests.support.running import eventually
from tests.support.stack import runtime_dsn

TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
async def diary(diary: Diary) -> Diary:
    """Its table does not take everything."""
    await diary.admin.execute(
        "ALTER TABLE effects ADD number integer CHECK (number < 1000), ADD name text"
    )
    return diary


async def write_down(connection: Connection, records: Sequence[Record]) -> None:
    """A handler like any: it believes in its records until they prove it wrong."""
    read = [orjson.loads(record.value or b"") for record in records]
    await connection.executemany(
        "INSERT INTO effects (value, number, name) VALUES ($1, $2, $3)",
        [
            (record.value, thing["number"], thing["name"])
            for record, thing in zip(records, read, strict=True)
        ],
    )


def thing(number: object, name: object = "good") -> bytes:
    """A record's value."""
    return orjson.dumps({"number": number, "name": name})


POISON = {
    "not JSON": (b"{", "JSONDecodeError"),
    "null": (None, "JSONDecodeError"),
    "a field is missing": (b"{}", "KeyError"),
    "not an object": (b"[]", "TypeError"),
    "NUL in a text": (thing(1, "a\0b"), "CharacterNotInRepertoireError"),
    "a number that no column holds": (thing(10**12), "DataError"),
    "a type that the driver refuses": (thing(1, 7), "DataError"),
    "a rule of the database": (thing(5000), "CheckViolationError"),
}


@pytest.mark.parametrize(("value", "error"), POISON.values(), ids=POISON)
async def test_poison_among_good_records(
    kafka: str, topic_prefix: str, diary: Diary, value: bytes | None, error: str
) -> None:
    await make_topic(kafka, topic_prefix + TOPIC)
    good = [thing(number) for number in range(40)]
    await publish(kafka, topic_prefix + TOPIC, [*good[:17], value, *good[17:]])

    async with diary.service(kafka, topic_prefix, write_down) as service:
        await diary.reaches(40)
        assert service.problems() == []

    assert await diary.values() == good
    [letter] = await diary.letters()
    assert letter["reason"].startswith(error)
    assert (letter["service"], letter["origin"], letter["partition"], letter["offset"]) == (
        SERVICE,
        TOPIC,
        0,
        17,
    )
    assert letter["value"] == (None if value is None else base64.b64encode(value).decode())


async def test_nothing_but_poison(kafka: str, topic_prefix: str, diary: Diary) -> None:
    await make_topic(kafka, topic_prefix + TOPIC)
    await publish(kafka, topic_prefix + TOPIC, [b"{"] * 30)

    async with diary.service(kafka, topic_prefix, write_down):
        await publish(kafka, topic_prefix + TOPIC, [thing(1)])
        await diary.reaches(1)

    assert [letter["offset"] for letter in await diary.letters()] == list(range(30))


async def test_a_dead_letter_keeps_the_exact_bytes_and_the_trace(
    kafka: str, topic_prefix: str, diary: Diary
) -> None:
    await make_topic(kafka, topic_prefix + TOPIC)
    headers = [
        ("bad", b"\xff\xfe\0"),
        ("traceparent", TRACEPARENT.encode()),
        ("tracestate", b"\0"),
        ("bad", b""),
    ]
    async with AIOKafkaProducer(bootstrap_servers=kafka) as producer:
        await producer.send_and_wait(
            topic_prefix + TOPIC, b"\xff\0", key=b"\xfe\0", headers=headers
        )

    async with diary.service(kafka, topic_prefix, write_down):
        await publish(kafka, topic_prefix + TOPIC, [thing(1)])
        await diary.reaches(1)

    [letter] = await diary.letters()
    decode = base64.b64decode
    assert (decode(letter["key"]), decode(letter["value"])) == (b"\xfe\0", b"\xff\0")
    assert [(name, decode(value)) for name, value in letter["headers"]] == headers
    message = await diary.admin.fetchrow("SELECT headers FROM outbox")
    assert message is not None
    assert orjson.loads(message["headers"])["traceparent"] == TRACEPARENT


async def test_a_dead_letter_is_never_too_large_to_be_sent(
    kafka: str, topic_prefix: str, diary: Diary
) -> None:
    await make_topic(kafka, topic_prefix + TOPIC)
    async with AIOKafkaProducer(bootstrap_servers=kafka, max_request_size=1 << 20) as producer:
        await producer.send_and_wait(topic_prefix + TOPIC, b"{" * 1_000_000)

    async with diary.service(kafka, topic_prefix, write_down):
        await publish(kafka, topic_prefix + TOPIC, [thing(1)])
        await diary.reaches(1)

    assert await diary.admin.fetchval("SELECT max(octet_length(value)) FROM outbox") < 10_000
    [letter] = await diary.letters()
    assert letter["offset"] == 0
    assert "1000000 bytes are left out" in letter["reason"]


class NotText(str):
    """A header's name that other clients than Python's can send."""

    def encode(self, *_: str) -> bytes:
        """What leaves."""
        return b"\xff\xfe"


async def publish_without_text(
    kafka: str, topic: str, *values: bytes, codec: str | None = None
) -> None:
    """Send values to partition 0 in one batch; the second has a header whose name is no text."""
    async with AIOKafkaProducer(bootstrap_servers=kafka) as producer:
        batch = producer.create_batch()
        batch._builder = _DefaultRecordBatchBuilderPy(2, CODECS[codec], 0, -1, -1, -1, 1 << 16)
        for number, value in enumerate(values):
            name = NotText("x") if number == 1 or len(values) == 1 else "text"
            batch.append(
                key=None, value=value, timestamp=None, headers=[("first", b"1"), (name, b"\xff")]
            )
        await (await producer.send_batch(batch, topic, partition=0))


CODECS = {None: 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}


@pytest.mark.parametrize("codec", CODECS)
async def test_a_header_whose_name_is_no_text_is_no_reason_to_stop(
    kafka: str, topic_prefix: str, diary: Diary, codec: str | None
) -> None:
    await make_topic(kafka, topic_prefix + TOPIC)
    await publish_without_text(
        kafka, topic_prefix + TOPIC, thing(0), thing(1), thing(2), codec=codec
    )
    await publish_without_text(kafka, topic_prefix + TOPIC, thing(3), b"{", thing(4), codec=codec)
    await publish(kafka, topic_prefix + TOPIC, [thing(5)])

    async with diary.service(kafka, topic_prefix, write_down) as service:
        await diary.reaches(6)
        assert service.problems() == []

    assert await diary.values() == [thing(number) for number in range(6)]
    [letter] = await diary.letters()
    assert (letter["offset"], letter["value"]) == (4, base64.b64encode(b"{").decode())
    assert letter["headers"] == [["first", "MQ=="], ["\\xff\\xfe", "/w=="]]


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
async def test_what_publishers_compress_is_read(
    kafka: str, topic_prefix: str, diary: Diary, codec: Any
) -> None:
    await make_topic(kafka, topic_prefix + TOPIC)
    async with AIOKafkaProducer(bootstrap_servers=kafka, compression_type=codec) as producer:
        for sent in [
            await producer.send(topic_prefix + TOPIC, thing(number)) for number in range(40)
        ]:
            await sent
    async with diary.service(kafka, topic_prefix, write_down):
        await diary.reaches(40)
    assert await diary.values() == [thing(number) for number in range(40)]


async def test_a_record_that_the_client_cannot_read_stops_its_partition_alone(
    kafka: str, topic_prefix: str, diary: Diary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "_WATCH_SECONDS", 0.1)
    monkeypatch.setattr(fetcher, "MemoryRecords", MemoryRecords)  # as strict as aiokafka has it
    topic = topic_prefix + TOPIC
    await make_topic(kafka, topic, partitions=2)
    async with AIOKafkaProducer(bootstrap_servers=kafka) as producer:
        for number in range(20):
            await producer.send_and_wait(topic, thing(number), partition=number % 2)
        await publish_without_text(kafka, topic, thing(666))
        for number in range(20, 40):
            await producer.send_and_wait(topic, thing(number), partition=number % 2)

    async with diary.service(kafka, topic_prefix, write_down) as service:
        await eventually(
            "it says so",
            lambda: has_problem(service, "things/0: the record at offset 10 cannot be read"),
        )
        await diary.reaches(30)
        assert await diary.wrong([thing(n) for n in range(40) if n < 20 or n % 2]) == {}

        await diary.admin.execute('UPDATE offsets SET next_offset = 11 WHERE "partition" = 0')
        await diary.reaches(40)

    assert await diary.wrong([thing(number) for number in range(40)]) == {}


async def test_a_fault_of_the_installation_condemns_no_record(
    kafka: str, topic_prefix: str, diary: Diary
) -> None:
    await make_topic(kafka, topic_prefix + TOPIC)
    await publish(kafka, topic_prefix + TOPIC, [thing(number) for number in range(20)])
    await diary.admin.execute("ALTER TABLE effects RENAME TO effects_elsewhere")

    async with diary.service(kafka, topic_prefix, write_down) as service:

        async def failing() -> bool:
            return "the last batch failed (UndefinedTableError)" in service.problems()

        await eventually("it is not ready", failing)
        await diary.admin.execute("ALTER TABLE effects_elsewhere RENAME TO effects")
        await diary.reaches(20)

    assert await diary.letters() == []


async def test_isolation_serves_what_is_no_record(database: str, diary: Diary) -> None:
    """Timers and HTTP batches use it too; it needs only a connection in a transaction."""
    calls, refused = [], []

    async def work(connection: Connection, items: Sequence[int]) -> None:
        calls.append(len(items))
        await connection.executemany(
            "INSERT INTO effects (number) VALUES ($1)", [(item,) for item in items]
        )

    async def on_poison(_: Connection, item: int, error: Exception) -> None:
        refused.append((item, type(error)))

    service = Database(runtime_dsn(database, SERVICE))
    async with service.transaction() as connection:
        await isolate(connection, [*range(63), 4000], work, on_poison)
    await service.close()

    assert refused == [(4000, asyncpg.CheckViolationError)]
    assert await diary.admin.fetchval("SELECT count(*) FROM effects") == 63
    assert len(calls) == 13  # by halves, not one by one
