"""Kafka's commit follows the rows."""

import asyncio
from collections.abc import Mapping

from aiokafka import TopicPartition as KafkaTopicPartition

from shared.kafka.consumption.assignment import Assignment
from shared.kafka.consumption.offsets import TopicPartition
from shared.postgres.database import Database
from tests.support.running import eventually

TP = TopicPartition("things", 0)


class SlowKafka:
    """Takes a commit when it is released, and never answers what is committed."""

    def __init__(self) -> None:
        self.commits: list[int] = []
        self.released = asyncio.Event()

    def pause(self, *_: KafkaTopicPartition) -> None:
        """Stand still."""

    def seek(self, *_: object) -> None:
        """Stand somewhere."""

    async def committed(self, _: KafkaTopicPartition) -> None:
        """Does not come."""
        await asyncio.Event().wait()

    async def commit(self, offsets: Mapping[KafkaTopicPartition, int]) -> None:
        """Take a commit."""
        self.commits += offsets.values()
        await self.released.wait()


def assigned(kafka: SlowKafka) -> Assignment:
    """An assignment with one partition."""
    assignment = Assignment(Database("postgresql://nowhere"), lambda: kafka, "")
    assignment.on_partitions_assigned({KafkaTopicPartition(*TP)})
    return assignment


async def test_what_is_done_during_a_commit_is_committed_after_it_though_nothing_follows() -> None:
    kafka = SlowKafka()
    assignment = assigned(kafka)

    async def committed() -> list[int]:
        return kafka.commits

    await assignment.commit_offsets({TP: 7})
    await eventually("Kafka has the first", committed)
    await assignment.commit_offsets({TP: 9})
    kafka.released.set()

    async def committed_all() -> bool:
        return kafka.commits == [7, 9]

    await eventually("Kafka has the last", committed_all)
    assignment.on_partitions_revoked(set())


async def test_only_partitions_that_are_still_owned_are_committed() -> None:
    kafka = SlowKafka()
    kafka.released.set()
    assignment = assigned(kafka)

    await assignment.commit_offsets({TopicPartition("things", 1): 5, TP: 7})
    await assignment.close()
    assert kafka.commits == [7]

    assignment.on_partitions_revoked(set())
    await assignment.commit_offsets({TP: 9})
    assert kafka.commits == [7]
