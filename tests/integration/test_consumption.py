"""Consumption as a whole: every record has its effect once, whatever happens to owners and connections meanwhile."""

from collections.abc import AsyncIterator

import pytest

from tests.support.consuming import TOPIC, Diary, eventually, make_topic, open_diary, publish


@pytest.fixture
async def diary(database: str) -> AsyncIterator[Diary]:
    """The effects of a service in a database of its own."""
    diary = await open_diary(database)
    yield diary
    await diary.admin.close()


def things(count: int, start: int = 0) -> list[bytes]:
    """So many different values."""
    return [b"%d" % number for number in range(start, start + count)]


async def test_a_new_service_reads_from_the_beginning_and_on(kafka: str, topic_prefix: str, diary: Diary) -> None:
    await make_topic(kafka, topic_prefix + TOPIC, partitions=3)
    await publish(kafka, topic_prefix + TOPIC, things(300))

    async with diary.service(kafka, topic_prefix) as service:
        await eventually(lambda: diary.is_long(300))
        await publish(kafka, topic_prefix + TOPIC, things(300, 300), transaction=topic_prefix)
        await eventually(lambda: diary.is_long(600))
        assert service.problems() == []

    assert await diary.wrong(things(600)) == {}
