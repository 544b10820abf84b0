"""A polled batch in FastStream's hands."""

from collections.abc import Mapping, Sequence
from typing import Any

from faststream.kafka.message import KafkaMessage

from shared.kafka.consumption.assignment import Assignment
from shared.kafka.consumption.offsets import TopicPartition
from shared.kafka.consumption.partition import PartitionBatch


class PolledBatch(KafkaMessage):
    """Acknowledging it commits to Kafka what Postgres has committed; refusing it reads it again."""

    def __init__(
        self, raw: Sequence[Any], batches: Sequence[PartitionBatch], assignment: Assignment
    ) -> None:
        super().__init__(raw_message=tuple(raw), body=b"", consumer=assignment)
        self.batches = batches
        self.done: Mapping[TopicPartition, int] = {}
        self._assignment = assignment

    async def ack(self) -> None:
        """All of it that counts is committed in Postgres: have Kafka's commit follow."""
        await self._assignment.commit_offsets(self.done)

    async def nack(self) -> None:
        """Nothing was committed: read it again."""
        self._assignment.rewind(self.batches)
