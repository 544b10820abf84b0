"""Consumption as a whole: every record has its effect once, whatever happens to owners and
connections meanwhile.
"""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka import TopicPartition as KafkaTopicPartition

from shared.kafka.consumption import consumption
from shared.kafka.consumption.consumer import Consumer, Owner
from shared.kafka.consumption.offsets import TopicPartition
from shared.kafka.consumption.partition import Partition, PartitionBatch
from shared.kafka.consumption.worker import Worker
from shared.kafka.handler import Handler
from shared.kafka.record import Record
from shared.postgres.connection import Connection
from shared.postgres.errors import Conflict
from shared.runtime.clock import system_clock
from tests.support.consuming import (
    SERVICE,
    TOPIC,
    Diary,
    has_problem,
    is_reading,
    make_topic,
    publish,
    things,
)
from tests.support.running import eventually, free_port


async def test_a_new_service_reads_from_the_beginning_and_on(
    kafka: str, topic_prefix: str, diary: Diary
) -> None:
    await make_topic(kafka, topic_prefix + TOPIC, partitions=3)
    await publish(kafka, topic_prefix + TOPIC, things(300))

    async with diary.service(kafka, topic_prefix) as service:
        await diary.reaches(300)
        await publish(kafka, topic_prefix + TOPIC, things(300, 300), transaction=topic_prefix)
        await diary.reaches(600)
        assert service.problems() == []

    assert await diary.wrong(things(600)) == {}


async def test_what_a_transaction_took_back_is_not_read(
    kafka: str, topic_prefix: str, diary: Diary
) -> None:
    await make_topic(kafka, topic_prefix + TOPIC)
    await publish(kafka, topic_prefix + TOPIC, things(10))
    await publish(kafka, topic_prefix + TOPIC, things(10, 10), transaction=topic_prefix, abort=True)
    await publish(kafka, topic_prefix + TOPIC, things(10, 20), transaction=topic_prefix)

    async with diary.service(kafka, topic_prefix):
        await diary.reaches(20)

    assert await diary.values() == things(10) + things(10, 20)


async def test_several_topics_each_go_to_their_handler(
    kafka: str, topic_prefix: str, diary: Diary
) -> None:
    seen: dict[str, list[bytes | None]] = {"cats": [], "dogs": []}

    def noting(animal: str) -> Handler:
        async def note(connection: Connection, records: Sequence[Record]) -> None:
            seen[animal] += [record.value for record in records]
            await diary.write(connection, records)

        return note

    for topic in seen:
        await make_topic(kafka, topic_prefix + topic)
        await publish(kafka, topic_prefix + topic, [topic.encode()] * 5)

    async with diary.service(
        kafka, topic_prefix, handlers={topic: noting(topic) for topic in seen}
    ):
        await diary.reaches(10)

    assert seen == {"cats": [b"cats"] * 5, "dogs": [b"dogs"] * 5}


async def test_a_handler_of_several_topics_gets_a_batch_together(diary: Diary) -> None:
    calls = []

    async def note(connection: Connection, records: Sequence[Record]) -> None:
        calls.append([(record.topic, record.offset) for record in records])
        await diary.write(connection, records)

    def part(topic: str, start: int) -> PartitionBatch:
        partition = Partition(KafkaTopicPartition(topic, 0), TopicPartition(topic, 0))
        records = [Record(topic, 0, start + n, datetime.now(UTC), None, b"", ()) for n in range(2)]
        return PartitionBatch(partition, start, start + 2, records)

    async with diary.database() as database:
        work = Worker(
            database, {"cats": note, "birds": diary.write, "dogs": note}, SERVICE, system_clock
        )
        await work.work([part("dogs", 0), part("cats", 5)])

    assert calls == [[("cats", 5), ("cats", 6), ("dogs", 0), ("dogs", 1)]]


async def test_members_come_and_go_while_records_flow(
    kafka: str, topic_prefix: str, diary: Diary
) -> None:
    await make_topic(kafka, topic_prefix + TOPIC, partitions=4)

    async def publishing() -> None:
        for start in range(0, 4000, 50):
            await publish(kafka, topic_prefix + TOPIC, things(50, start))

    async with diary.service(kafka, topic_prefix) as first:
        publisher = asyncio.create_task(publishing())
        for length in (500, 1500):
            await diary.reaches(length)
            async with diary.service(kafka, topic_prefix) as second:
                await eventually("each reads two", lambda: is_reading(first, 2))
                await eventually("each reads two", lambda: is_reading(second, 2))
                await diary.reaches(length + 500)
        await publisher
        await diary.reaches(4000)

    assert await diary.wrong(things(4000)) == {}


async def test_two_owners_of_one_partition_do_everything_once(
    kafka: str, topic_prefix: str, diary: Diary
) -> None:
    """Kafka believes in two groups here, so both own the partition at all times."""
    await make_topic(kafka, topic_prefix + TOPIC, partitions=2)

    async with (
        diary.service(kafka, topic_prefix, group="one"),
        diary.service(kafka, topic_prefix, group="other"),
    ):
        for start in range(0, 2000, 100):
            await publish(kafka, topic_prefix + TOPIC, things(100, start))
        await diary.reaches(2000)

    assert await diary.wrong(things(2000)) == {}


async def test_an_owner_that_hung_in_its_transaction_changes_nothing_later(
    kafka: str, topic_prefix: str, diary: Diary
) -> None:
    await make_topic(kafka, topic_prefix + TOPIC)
    await publish(kafka, topic_prefix + TOPIC, things(50))
    hangs, released = asyncio.Event(), asyncio.Event()

    async def hang_once(connection: Connection, records: Sequence[Record]) -> None:
        await diary.write(connection, records)
        if not hangs.is_set():
            hangs.set()
            await released.wait()

    diary.settings["idle_in_transaction_session_timeout"] = "500"
    async with diary.service(kafka, topic_prefix, hang_once, group="hung") as hung:
        await hangs.wait()
        async with diary.service(kafka, topic_prefix, group="successor"):
            await diary.reaches(50)
            released.set()
            await publish(kafka, topic_prefix + TOPIC, things(50, 50))
            await diary.reaches(100)
        await publish(kafka, topic_prefix + TOPIC, things(50, 100))
        await diary.reaches(150)
        await eventually("it is well again", lambda: is_reading(hung, 1))

    assert await diary.values() == things(150)


async def test_a_connection_killed_in_the_transaction_loses_nothing(
    kafka: str, topic_prefix: str, diary: Diary
) -> None:
    await make_topic(kafka, topic_prefix + TOPIC)
    killed = 0

    async def be_killed(connection: Connection, records: Sequence[Record]) -> None:
        nonlocal killed
        await diary.write(connection, records)
        if killed < 3:
            killed += 1
            await diary.admin.execute(
                "SELECT pg_terminate_backend($1)", connection.get_server_pid()
            )
        await diary.write(connection, [])

    async with diary.service(kafka, topic_prefix, be_killed) as service:
        await publish(kafka, topic_prefix + TOPIC, things(200))
        await diary.reaches(200)
        await eventually("it is well again", lambda: is_reading(service, 1))

    assert killed == 3
    assert await diary.wrong(things(200)) == {}


async def test_a_database_that_is_away_is_waited_for(
    kafka: str, topic_prefix: str, diary: Diary
) -> None:
    await make_topic(kafka, topic_prefix + TOPIC)
    await diary.close_database()
    async with diary.service(kafka, topic_prefix) as service:
        await publish(kafka, topic_prefix + TOPIC, things(100))
        await eventually("it says so", lambda: has_problem(service, "cannot be loaded"))
        await diary.open_database()
        await diary.reaches(100)

        await diary.close_database()
        await publish(kafka, topic_prefix + TOPIC, things(100, 100))
        await eventually("it says so", lambda: has_problem(service, "last batch failed"))
        await diary.open_database()
        await diary.reaches(200)
        await eventually("it is well again", lambda: is_reading(service, 1))

    assert await diary.wrong(things(200)) == {}


async def test_a_lost_race_is_run_again(kafka: str, topic_prefix: str, diary: Diary) -> None:
    await make_topic(kafka, topic_prefix + TOPIC)
    await publish(kafka, topic_prefix + TOPIC, things(20))
    lost = 0

    async def lose_twice(connection: Connection, records: Sequence[Record]) -> None:
        nonlocal lost
        await diary.write(connection, records)
        if lost < 2:
            lost += 1
            raise Conflict

    async with diary.service(kafka, topic_prefix, lose_twice):
        await diary.reaches(20)

    assert await diary.values() == things(20)


async def test_kafkas_commit_follows_for_lag_monitors(
    kafka: str, topic_prefix: str, diary: Diary
) -> None:
    await make_topic(kafka, topic_prefix + TOPIC)
    await publish(kafka, topic_prefix + TOPIC, things(20), transaction=topic_prefix)
    partition = KafkaTopicPartition(topic_prefix + TOPIC, 0)

    async with (
        AIOKafkaConsumer(
            bootstrap_servers=kafka, group_id=topic_prefix + SERVICE, enable_auto_commit=False
        ) as monitor,
        diary.service(kafka, topic_prefix),
    ):
        [end] = (await monitor.end_offsets([partition])).values()

        async def caught_up() -> bool:
            return bool(
                await monitor.committed(partition) == end == 21
            )  # the transaction's marker is the 21st

        await eventually("the commit is at the end", caught_up)


class Patient(Consumer):
    """Kafka gives its partitions to somebody else only far later than a test waits, unless it
    leaves.
    """

    def __init__(self, owner: Owner, *args: Any, **options: Any) -> None:
        super().__init__(owner, *args, **options | {"session_timeout_ms": 300_000})


async def test_a_member_that_is_killed_has_its_partition_back_at_once(
    kafka: str, topic_prefix: str, diary: Diary, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that does not leave its group, as this one, was killed as far as Kafka knows."""

    class Missed(Patient):
        async def start(self) -> None:
            await AIOKafkaConsumer.start(self)

    monkeypatch.setattr(consumption, "Consumer", Missed)
    await make_topic(kafka, topic_prefix + TOPIC)
    await publish(kafka, topic_prefix + TOPIC, things(20))
    async with diary.service(kafka, topic_prefix, instance_id="triage-0"):
        await diary.reaches(20)

    async with diary.service(kafka, topic_prefix, instance_id="triage-0"):
        await publish(kafka, topic_prefix + TOPIC, things(20, 20))
        await diary.reaches(40)

    assert await diary.values() == things(40)


async def test_a_member_that_stops_leaves_its_partitions_to_others_at_once(
    kafka: str, topic_prefix: str, diary: Diary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumption, "Consumer", Patient)
    await make_topic(kafka, topic_prefix + TOPIC)
    await publish(kafka, topic_prefix + TOPIC, things(20))
    async with diary.service(kafka, topic_prefix, instance_id="triage-old"):
        await diary.reaches(20)

    async with diary.service(kafka, topic_prefix, instance_id="triage-new"):
        await publish(kafka, topic_prefix + TOPIC, things(20, 20))
        await diary.reaches(40)

    assert await diary.values() == things(40)


async def test_a_batch_in_hand_is_finished_when_the_service_stops(
    kafka: str, topic_prefix: str, diary: Diary
) -> None:
    await make_topic(kafka, topic_prefix + TOPIC)
    await publish(kafka, topic_prefix + TOPIC, things(20))
    started, released = asyncio.Event(), asyncio.Event()

    async def take_long(connection: Connection, records: Sequence[Record]) -> None:
        started.set()
        await released.wait()
        await diary.write(connection, records)

    async with diary.service(kafka, topic_prefix, take_long):
        await started.wait()
        asyncio.get_running_loop().call_later(0.2, released.set)  # while it stops

    assert await diary.values() == things(20)


async def test_a_broker_that_is_away_is_said_and_waited_for(
    topic_prefix: str, diary: Diary
) -> None:
    nowhere = f"127.0.0.1:{free_port()}"
    problem = f"not connected to Kafka ({nowhere}: no broker answers"
    async with diary.service(nowhere, topic_prefix) as service:
        await eventually("it says so", lambda: has_problem(service, problem))


async def test_records_that_linger_come_in_few_batches(
    kafka: str, topic_prefix: str, diary: Diary
) -> None:
    await make_topic(kafka, topic_prefix + TOPIC)
    batches, linger = 0, 0.2

    async def count(connection: Connection, records: Sequence[Record]) -> None:
        nonlocal batches
        batches += 1
        await diary.write(connection, records)

    async with (
        diary.service(kafka, topic_prefix, count, linger=linger),
        AIOKafkaProducer(bootstrap_servers=kafka) as sender,
    ):
        began = asyncio.get_running_loop().time()
        for value in things(100):
            await sender.send_and_wait(topic_prefix + TOPIC, value)
        await diary.reaches(100)
        lasted = asyncio.get_running_loop().time() - began

    assert batches <= 3 + lasted / linger
