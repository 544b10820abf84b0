"""One bad record costs that record alone: it goes to the dead letters with its reason, and the rest
commits.
"""

import base64
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import orjson
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka import TopicPartition as KafkaTopicPartition

from shared.kafka.consumption.offsets import StoredOffset, TopicPartition
from shared.kafka.consumption.partition import Partition, PartitionBatch
from shared.kafka.consumption.worker import Worker
from shared.kafka.record import Record
from shared.postgres.connection import Connection
from shared.postgres.writes import Write
from shared.runtime.clock import system_clock
from tests.support.consuming import SERVICE, TOPIC, Diary, make_topic, publish
from tests.support.running import eventually

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
    [letter] = await diary.dead_letters()
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

    assert [letter["offset"] for letter in await diary.dead_letters()] == list(range(30))


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

    [letter] = await diary.dead_letters()
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
    [letter] = await diary.dead_letters()
    assert letter["offset"] == 0
    assert "1000000 bytes are left out" in letter["reason"]


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

    assert await diary.dead_letters() == []


def part(start: int, row: StoredOffset | None, *values: bytes) -> PartitionBatch:
    """A polled batch, of a partition whose row was seen last as given."""
    partition = Partition(KafkaTopicPartition(TOPIC, 0), TopicPartition(TOPIC, 0), row=row)
    records = [
        Record(TOPIC, 0, start + place, datetime.now(UTC), None, value)
        for place, value in enumerate(values)
    ]
    return PartitionBatch(partition, start, start + len(values), records)


class Decisions:
    """A decider that can be disturbed: `before_writing` runs between its read and its write."""

    def __init__(self, diary: Diary) -> None:
        self.diary = diary
        self.calls = 0
        self.expected_too_many = 0
        self.before_writing: Callable[[], Awaitable[None]] | None = None

    async def decide(
        self, connection: Connection, records: Sequence[Record]
    ) -> Sequence[Write | None]:
        self.calls += 1
        if self.before_writing:
            await self.before_writing()
        [write] = await self.diary.decide(connection, records)
        assert write is not None
        return [replace(write, expected=len(records) + self.expected_too_many)]


@pytest.fixture
async def decisions(diary: Diary) -> AsyncIterator[tuple[Decisions, Worker]]:
    """A worker with a decider and a handler, whose first record is done."""
    decisions = Decisions(diary)
    async with diary.database() as database:
        deciders = {TOPIC: decisions.decide}
        worker = Worker(database, {TOPIC: diary.write}, SERVICE, system_clock, deciders)
        await worker.work([part(0, None, b"0")])
        assert decisions.calls == 0  # a partition without a row needs more than one statement
        yield decisions, worker


async def test_one_partition_is_done_by_the_decider(
    diary: Diary, decisions: tuple[Decisions, Worker]
) -> None:
    deciding, worker = decisions

    plan = await worker.work([part(1, StoredOffset(1), b"1", b"2")])

    assert deciding.calls == 1
    assert await diary.values() == [b"0", b"1", b"2"]
    assert [offset.next_offset for offset in plan.offsets.values()] == [3]
    assert await diary.admin.fetchval("SELECT next_offset FROM offsets") == 3


async def test_what_another_owner_did_meanwhile_is_not_done_again(
    diary: Diary, decisions: tuple[Decisions, Worker]
) -> None:
    deciding, worker = decisions

    async def another_owner() -> None:
        await diary.admin.execute("INSERT INTO effects (value) VALUES ('1')")
        await diary.admin.execute("UPDATE offsets SET next_offset = 2")

    deciding.before_writing = another_owner
    await worker.work([part(1, StoredOffset(1), b"1", b"2")])

    assert await diary.values() == [b"0", b"1", b"2"]
    assert await diary.admin.fetchval("SELECT next_offset FROM offsets") == 3


async def test_a_database_that_was_put_back_gets_nothing_of_the_batch(
    diary: Diary, decisions: tuple[Decisions, Worker]
) -> None:
    deciding, worker = decisions
    await worker.work([part(1, StoredOffset(1), b"1")])

    async def put_back() -> None:
        await diary.admin.execute("DELETE FROM effects; UPDATE offsets SET next_offset = 0")

    deciding.before_writing = put_back
    plan = await worker.work([part(2, StoredOffset(2), b"2")])

    assert [batch.start for batch in plan.stale] == [2]
    assert await diary.values() == []


async def test_a_write_that_misses_its_rows_leaves_the_batch_to_the_handler(
    diary: Diary, decisions: tuple[Decisions, Worker]
) -> None:
    deciding, worker = decisions
    deciding.expected_too_many = 1

    await worker.work([part(1, StoredOffset(1), b"1")])

    assert deciding.calls == 1
    assert await diary.values() == [b"0", b"1"]
    assert await diary.admin.fetchval("SELECT next_offset FROM offsets") == 2
