"""Where consumption starts when Kafka and the database do not agree, and when it must not start at
all.
"""

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import RecordsToDelete

from shared.kafka.consumption import consumption, supervisor
from tests.support.consuming import (
    SERVICE,
    TOPIC,
    Diary,
    admin_client,
    delete_topic,
    has_problem,
    is_reading,
    make_topic,
    publish,
    things,
)
from tests.support.running import eventually


@pytest.fixture(autouse=True)
def _check_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "_CHECK_EVERY_SECONDS", 0.1)


@pytest.fixture
async def topic(kafka: str, topic_prefix: str) -> str:
    """A topic of one partition with 100 records."""
    name = topic_prefix + TOPIC
    await make_topic(kafka, name)
    await publish(kafka, name, things(100))
    return name


async def commit_to_kafka(kafka: str, prefix: str, offset: int) -> None:
    """What an operator's tool does to the group."""
    partition = TopicPartition(prefix + TOPIC, 0)
    async with AIOKafkaConsumer(
        bootstrap_servers=kafka, group_id=prefix + SERVICE, enable_auto_commit=False
    ) as tool:
        tool.assign([partition])
        await tool.commit({partition: offset})


async def read_past_a_backup(kafka: str, prefix: str, topic: str, diary: Diary) -> None:
    """The topic's 100 records, and after a backup 100 more."""
    async with diary.service(kafka, prefix):
        await diary.reaches(100)
        await diary.back_up()
        await publish(kafka, topic, things(100, 100))
        await diary.reaches(200)


async def epoch(diary: Diary) -> int:
    """The high part of the sequences that the service hands out."""
    value: int = await diary.admin.fetchval("SELECT epoch FROM installation")
    return value


async def test_a_group_that_was_rewound_in_kafka_starts_from_the_row(
    kafka: str, topic_prefix: str, topic: str, diary: Diary
) -> None:
    async with diary.service(kafka, topic_prefix):
        await diary.reaches(100)
    await commit_to_kafka(kafka, topic_prefix, 0)

    async with diary.service(kafka, topic_prefix):
        await publish(kafka, topic, things(10, 100))
        await diary.reaches(110)

    assert await diary.values() == things(110)
    assert await epoch(diary) == 0


async def test_a_database_put_back_reads_again_under_a_new_epoch(
    kafka: str, topic_prefix: str, topic: str, diary: Diary
) -> None:
    await read_past_a_backup(kafka, topic_prefix, topic, diary)
    await diary.put_back()
    assert await diary.values() == things(100)

    async with diary.service(kafka, topic_prefix):
        await diary.reaches(200)
    async with diary.service(kafka, topic_prefix):
        await publish(kafka, topic, things(1, 200))
        await diary.reaches(201)

    assert await diary.values() == things(201)
    assert await epoch(diary) == 1


async def test_a_database_put_back_to_before_its_first_record_reads_everything_again(
    kafka: str, topic_prefix: str, topic: str, diary: Diary
) -> None:
    await diary.back_up()
    async with diary.service(kafka, topic_prefix):
        await diary.reaches(100)
    await diary.put_back()

    async with diary.service(kafka, topic_prefix):
        await diary.reaches(100)

    assert await diary.values() == things(100)
    assert await epoch(diary) == 1


@pytest.mark.parametrize("read_before", [0, 50])
@pytest.mark.parametrize("check_seconds", [0.1, 1000], ids=["at a check", "with the next record"])
async def test_a_database_put_back_under_a_running_service_is_noticed(
    kafka: str,
    topic_prefix: str,
    diary: Diary,
    read_before: int,
    check_seconds: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(supervisor, "_CHECK_EVERY_SECONDS", check_seconds)
    await make_topic(kafka, topic_prefix + TOPIC)
    async with diary.service(kafka, topic_prefix):
        await publish(kafka, topic_prefix + TOPIC, things(read_before))
        await diary.reaches(read_before)
        await diary.back_up()
        await publish(kafka, topic_prefix + TOPIC, things(100 - read_before, read_before))
        await diary.reaches(100)
        await diary.put_back()
        if check_seconds > 1:
            await publish(kafka, topic_prefix + TOPIC, things(1, 100))
        await diary.reaches(100 + (check_seconds > 1))

    assert await diary.values() == things(100 + (check_seconds > 1))
    assert await epoch(diary) == 1


async def test_only_the_partition_whose_row_moved_back_is_read_again(
    kafka: str, topic_prefix: str, diary: Diary
) -> None:
    await make_topic(kafka, topic_prefix + TOPIC, partitions=2)
    async with diary.service(kafka, topic_prefix):
        await publish(kafka, topic_prefix + TOPIC, things(200))
        await diary.reaches(200)
        again = await diary.admin.fetchval(
            'UPDATE offsets SET next_offset = next_offset - 5 WHERE "partition" = 1'
            " RETURNING next_offset"
        )
        await publish(kafka, topic_prefix + TOPIC, things(200, 200))
        await diary.reaches(405)

    assert again > 0
    assert sum((await diary.wrong(things(400))).values()) == 5


@pytest.mark.parametrize("length", [30, 300], ids=["shorter", "longer"])
async def test_a_recreated_topic_stops_the_partition(
    kafka: str, topic_prefix: str, topic: str, diary: Diary, length: int
) -> None:
    async with diary.service(kafka, topic_prefix):
        await diary.reaches(100)
    await delete_topic(kafka, topic)
    await make_topic(kafka, topic)
    await publish(kafka, topic, things(length, 1000))

    async with diary.service(kafka, topic_prefix) as service:
        await eventually("it says so", lambda: has_problem(service, "recreated"))
        assert await diary.values() == things(100)

        # The repair: the operator decides to read the new log from its beginning.
        await diary.admin.execute("DELETE FROM offsets")
        await diary.reaches(100 + length)
        await eventually("it is well again", lambda: is_reading(service, 1))

    assert await diary.values() == things(100) + things(length, 1000)


async def test_a_topic_recreated_under_a_running_service_stops_the_partition(
    kafka: str, topic_prefix: str, topic: str, diary: Diary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumption, "_METADATA_SECONDS", 0.5)
    async with diary.service(kafka, topic_prefix) as service:
        await diary.reaches(100)
        await delete_topic(kafka, topic)
        await eventually("it says so", lambda: has_problem(service, "the topic does not exist"))
        await make_topic(kafka, topic)
        await publish(kafka, topic, things(30, 1000))
        await eventually("it says so", lambda: has_problem(service, "recreated"))

    assert await diary.values() == things(100)


async def test_a_topic_that_is_gone_keeps_nobody_from_checking_the_others(
    kafka: str, topic_prefix: str, topic: str, diary: Diary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumption, "_METADATA_SECONDS", 0.5)
    monkeypatch.setattr(supervisor, "_TOGETHER_SECONDS", 0.2)
    await make_topic(kafka, topic_prefix + "others")
    async with diary.service(
        kafka, topic_prefix, handlers={TOPIC: diary.write, "others": diary.write}
    ) as service:
        await diary.reaches(100)
        await delete_topic(kafka, topic_prefix + "others")
        await eventually(
            "it says so", lambda: has_problem(service, "others: the topic does not exist")
        )
        await publish(kafka, topic, things(5, 2000), transaction=topic, abort=True)

        async def at_the_end() -> bool:
            return bool(
                await diary.admin.fetchval(
                    "SELECT next_offset = 106 FROM offsets WHERE topic = $1", TOPIC
                )
            )

        await eventually("the row is past the marker", at_the_end)


async def test_a_database_put_back_under_a_stopped_partition_has_a_new_epoch(
    kafka: str, topic_prefix: str, topic: str, diary: Diary
) -> None:
    """It resembles a repair by hand; and Kafka forgot the commit with the topic."""
    await read_past_a_backup(kafka, topic_prefix, topic, diary)
    await delete_topic(kafka, topic)
    await make_topic(kafka, topic)
    await publish(kafka, topic, things(30, 1000))

    async with diary.service(kafka, topic_prefix) as service:
        await eventually("it says so", lambda: has_problem(service, "recreated"))
        await diary.put_back()

        async def raised() -> bool:
            return await epoch(diary) == 1

        await eventually("a new epoch", raised)


async def remove_before(kafka: str, topic: str, offset: int) -> None:
    """What retention does."""
    async with admin_client(kafka) as admin:
        await admin.delete_records(
            {TopicPartition(topic, 0): RecordsToDelete(before_offset=offset)}
        )


async def test_retention_past_the_row_stops_the_partition(
    kafka: str, topic_prefix: str, topic: str, diary: Diary
) -> None:
    async with diary.service(kafka, topic_prefix):
        await diary.reaches(100)
    await publish(kafka, topic, things(100, 100))
    await remove_before(kafka, topic, 150)

    async with diary.service(kafka, topic_prefix) as service:
        await eventually("it says so", lambda: has_problem(service, "retention"))
        assert await diary.values() == things(100)

        # The repair: the operator accepts the loss.
        await diary.admin.execute("UPDATE offsets SET next_offset = 150")
        await diary.reaches(150)

    assert await diary.values() == things(100) + things(50, 150)


async def test_retention_past_a_slow_service_stops_the_partition(
    kafka: str, topic_prefix: str, topic: str, diary: Diary
) -> None:
    await diary.close_database()
    async with diary.service(kafka, topic_prefix) as service:
        await diary.open_database()
        await diary.reaches(100)
        await diary.close_database()
        await publish(kafka, topic, things(50, 100))
        await eventually("a batch fails", lambda: has_problem(service, "last batch failed"))
        await publish(kafka, topic, things(50, 150))
        await remove_before(kafka, topic, 160)
        await diary.open_database()
        await eventually("it says so", lambda: has_problem(service, "retention"))

    assert await diary.values() == things(100)


async def test_retention_up_to_the_row_is_no_loss(
    kafka: str, topic_prefix: str, topic: str, diary: Diary
) -> None:
    async with diary.service(kafka, topic_prefix):
        await diary.reaches(100)
    await publish(kafka, topic, things(10, 100))
    await remove_before(kafka, topic, 100)

    async with diary.service(kafka, topic_prefix):
        await diary.reaches(110)

    assert await diary.values() == things(110)


async def test_an_idle_log_that_ends_in_markers_may_lose_all_its_records(
    kafka: str, topic_prefix: str, topic: str, diary: Diary
) -> None:
    """The row must follow over markers, or it would seem to be behind the log once retention has
    emptied it.
    """
    async with diary.service(kafka, topic_prefix):
        await diary.reaches(100)
        await publish(kafka, topic, things(5, 2000), transaction=topic, abort=True)

        async def at_the_end() -> bool:
            return bool(await diary.admin.fetchval("SELECT next_offset = 106 FROM offsets"))

        await eventually("the row is past the marker", at_the_end)
    await remove_before(kafka, topic, 106)

    async with diary.service(kafka, topic_prefix):
        await publish(kafka, topic, things(10, 100))
        await diary.reaches(110)

    assert await diary.values() == things(110)
