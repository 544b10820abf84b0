"""Header names that are no text are read; what no client can read stops its partition alone."""

import base64
from collections.abc import Sequence
from typing import Any

import orjson
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.consumer import fetcher
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy
from aiokafka.record.memory_records import MemoryRecords

from shared.kafka.consumption import consumption, supervisor
from shared.kafka.record import Record
from shared.postgres.connection import Connection
from tests.support.consuming import TOPIC, Diary, has_problem, make_topic, publish
from tests.support.running import eventually


@pytest.fixture
async def diary(diary: Diary) -> Diary:
    """Its table has a column that not every record fits."""
    await diary.admin.execute("ALTER TABLE effects ADD number integer, ADD name text")
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
    [letter] = await diary.dead_letters()
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
    monkeypatch.setattr(supervisor, "_CHECK_EVERY_SECONDS", 0.1)
    monkeypatch.setattr(consumption, "tolerate_header_names", lambda: None)
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
