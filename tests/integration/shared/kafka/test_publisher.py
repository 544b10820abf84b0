"""Messages that are sent together, and what is reported of each."""

import gc
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager

import pytest
from aiokafka.errors import MessageSizeTooLargeError, ProducerFenced

from shared.events.message import OutboxMessage
from shared.kafka.provisioning import apply_topics
from shared.kafka.publisher import Publisher, Report, Result
from shared.kafka.topics import Topic
from tests.support.reading import reading

TOPIC = "things"
SENT, TOO_LARGE, NOT_SENT = Result.SENT, Result.TOO_LARGE, Result.NOT_SENT


class Limited(Topic):
    """Takes record batches of up to 10,000 bytes."""

    @property
    def configuration(self) -> dict[str, str]:
        """The limit as well."""
        return {**super().configuration, "max.message.bytes": "10000"}


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    """A fenced producer of aiokafka leaves futures whose errors nobody asks for. They complain when
    they are collected: now, not in the middle of what comes next.
    """
    yield
    gc.collect()


@pytest.fixture
async def topic(kafka: str, topic_prefix: str) -> str:
    await apply_topics(kafka, topic_prefix, [Limited(TOPIC, partitions=1)])
    return topic_prefix + TOPIC


@asynccontextmanager
async def publishing(kafka: str, prefix: str, fence: str | None = None) -> AsyncIterator[Publisher]:
    publisher = Publisher(kafka, "test", prefix, fence)
    try:
        await publisher.start()
        yield publisher
    finally:
        await publisher.stop()


def messages(*sizes: int) -> list[OutboxMessage]:
    """A message of each size, with its place as its key."""
    return [OutboxMessage(TOPIC, b"%d" % n, b"x" * size) for n, size in enumerate(sizes)]


async def committed(kafka: str, prefix: str, topic: str) -> Sequence[bytes | None]:
    """The keys that a reader sees up to a last message."""
    async with publishing(kafka, prefix) as publisher:
        await publisher.publish([OutboxMessage(TOPIC, b"last", b"")])
    async with reading(kafka, topic) as reader:
        await reader.until("the last", lambda records: any(r.key == b"last" for r in records))
    return [record.key for record in reader.records[:-1]]


@pytest.mark.parametrize("fenced", [False, True])
async def test_what_the_client_refuses_costs_the_others_nothing(
    kafka: str, topic: str, topic_prefix: str, fenced: bool
) -> None:
    async with publishing(kafka, topic_prefix, topic if fenced else None) as publisher:
        report = await publisher.publish(messages(1, 2_000_000, 1))
        again = await publisher.publish(messages(1))

    assert report == Report([SENT, TOO_LARGE, SENT])
    assert again == Report([SENT]), "the same publisher goes on"
    assert await committed(kafka, topic_prefix, topic) == [b"0", b"2", b"0"]


async def test_one_message_that_the_broker_refuses_is_too_large(
    kafka: str, topic: str, topic_prefix: str
) -> None:
    async with publishing(kafka, topic_prefix) as publisher:
        report = await publisher.publish(messages(50_000))

    assert list(report.results) == [TOO_LARGE]
    assert isinstance(report.error, MessageSizeTooLargeError)


async def test_of_several_that_the_broker_refuses_none_is_known_to_be_too_large(
    kafka: str, topic: str, topic_prefix: str
) -> None:
    async with publishing(kafka, topic_prefix) as publisher:
        report = await publisher.publish(messages(1, 50_000, 1))

    assert list(report.results) == [NOT_SENT] * 3
    assert isinstance(report.error, MessageSizeTooLargeError)
    assert await committed(kafka, topic_prefix, topic) == []


async def test_with_a_fence_all_are_sent_or_none(kafka: str, topic: str, topic_prefix: str) -> None:
    other = topic_prefix + "others"
    await apply_topics(kafka, topic_prefix, [Topic("others", partitions=1)])
    neighbour = OutboxMessage("others", b"key", b"x")
    async with publishing(kafka, topic_prefix, topic) as publisher:
        report = await publisher.publish([neighbour, *messages(50_000)])
    async with publishing(kafka, topic_prefix, topic) as publisher:
        await publisher.publish([neighbour])
    async with reading(kafka, other) as reader:
        await reader.until("one", lambda records: len(records) == 1)

    assert list(report.results) == [NOT_SENT, TOO_LARGE]
    assert reader.records[0].offset > 0, "the first is in the log, and no reader has it"


async def test_a_publisher_that_starts_with_a_fence_shuts_out_the_one_before(
    kafka: str, topic: str, topic_prefix: str
) -> None:
    async with publishing(kafka, topic_prefix, topic) as before:
        await before.publish(messages(1))
        async with publishing(kafka, topic_prefix, topic) as after:
            await after.publish(messages(1))
            with pytest.raises(ProducerFenced):
                await before.publish(messages(1))
