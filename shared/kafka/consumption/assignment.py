"""The partitions that this process owns, through Kafka's rebalances, and what is polled of them.

Kafka assigns, Postgres says where to start. From the moment of assignment a partition is paused,
until its row is loaded, its log is found to reach the row, and the consumer stands at the row (see
`supervisor`).
"""

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import Any

from aiokafka import ConsumerRebalanceListener
from aiokafka import TopicPartition as KafkaTopicPartition

from shared.kafka.consumption.consumer import Consumer, commit
from shared.kafka.consumption.offsets import TopicPartition
from shared.kafka.consumption.partition import Partition, PartitionBatch, Phase
from shared.kafka.consumption.records import read_record
from shared.kafka.consumption.supervisor import OffsetSupervisor
from shared.kafka.dead_letters.writing import count_from
from shared.kafka.diagnosis import refusal
from shared.kafka.security import PLAINTEXT, Security
from shared.postgres.database import Database
from shared.telemetry import Level
from shared.telemetry.metrics import LAG, STOPPED

_COMMIT_EVERY_SECONDS = 0.2


class Assignment(ConsumerRebalanceListener):  # type: ignore[misc]
    """Follows one Kafka consumer. `consumer` returns it, or None before it exists."""

    def __init__(
        self,
        database: Database,
        consumer: Callable[[], Any],
        topic_prefix: str,
        security: Security = PLAINTEXT,
    ) -> None:
        self._database = database
        self._consumer = consumer
        self._prefix = topic_prefix
        self._security = security
        self.failure = ""  # of the last batch
        self.unchecked: Exception | None = None
        """Why the logs could not be compared with the rows when that was last tried."""
        self.broken = asyncio.Event()
        self._joined = False
        self._partitions: dict[tuple[str, int], Partition] = {}
        self._wake = asyncio.Event()
        self._supervising: asyncio.Task[None] | None = None
        self._uncommitted: dict[TopicPartition, int] = {}
        self._committing: asyncio.Task[None] | None = None
        self._closing = False

    def on_partitions_revoked(self, revoked: set[KafkaTopicPartition]) -> None:
        """Own nothing from now on. The rows decide whether a batch in progress still counts."""
        self._joined = False
        self._partitions = {}
        if self._supervising:
            self._supervising.cancel()

    def on_partitions_assigned(self, assigned: set[KafkaTopicPartition]) -> None:
        """Own these from now on.

        Synchronous to its end: were anything awaited before the pause, aiokafka would hand out
        records from wherever it thinks they start; and it sends no heartbeats while a listener
        runs, so loading is a task of its own.
        """
        self.on_partitions_revoked(assigned)
        self._joined, self.failure = True, ""
        self._partitions = {handle: Partition(handle, self._name(handle)) for handle in assigned}
        consumer: Consumer = self._consumer()
        consumer.pause(*assigned)
        for handle in assigned:
            # Any position will do: with one, aiokafka does not go and fetch a committed offset.
            consumer.seek(handle, 0)
        for topic in {partition.tp.topic for partition in self._partitions.values()}:
            count_from(topic)
        supervisor = OffsetSupervisor(
            self._database,
            consumer,
            list(self._partitions.values()),
            self._wake,
            self.commit_offsets,
            self.note_check,
        )
        self._supervising = asyncio.create_task(supervisor.run(), name="offset supervisor")

    async def take(self, raw: Sequence[Any]) -> list[PartitionBatch]:
        """What was polled, by partition, stamped with the partition's cursor.

        Must follow the poll without a suspension, and has none itself: `position` answers from
        memory after a poll.
        """
        batches = []
        for handle, polled in groupby(raw, lambda record: (record.topic, record.partition)):
            partition = self._partitions.get(handle)
            if partition is None or partition.phase is not Phase.READING:
                continue
            records = [read_record(record, partition.tp.topic) for record in polled]
            if partition.unverified:
                if reason := partition.verify_continuity(records[0]):
                    partition.stop(self._consumer(), reason)
                    continue
                records = records[1:]
            if records:
                position = await self._consumer().position(partition.handle)
                batches.append(partition.stamp(records, position))
        return batches

    def rewind(self, batches: Sequence[PartitionBatch]) -> None:
        """Read these again: nothing of them was committed, as far as is known."""
        for batch in batches:
            if self._is_reading(batch.partition):
                batch.partition.rewind(self._consumer(), batch.start)

    def rewind_all(self) -> None:
        """Read again what was polled and never handed out."""
        for partition in self._partitions.values():
            if partition.phase is Phase.READING:
                partition.rewind(self._consumer(), partition.cursor)

    def reload(self, partition: Partition) -> None:
        """Start again from the row, which is not where this process left it."""
        if self._is_reading(partition):
            partition.reload(self._consumer())
            self.check_logs()

    def note_check(self, error: Exception | None) -> None:
        """The logs were compared with the rows, or could not be."""
        self.unchecked = error

    def check_logs(self) -> None:
        """Have the supervisor compare logs and rows now."""
        self._wake.set()

    def replace_consumer(self) -> None:
        """The consumer is broken: build another."""
        self.broken.set()

    def refusal(self, error: Exception) -> str:
        """What Kafka refuses, in words; "" if the error is of another kind."""
        return refusal(error, self._security)

    def unreadable(self, handle: KafkaTopicPartition, offset: int, error: Exception) -> None:
        """Stop where no record can be read. Kafka hands out whole batches, so one record alone
        cannot be skipped.
        """
        partition = self._partitions.get(handle)
        if partition and self._is_reading(partition):
            reason = f"the record at offset {offset} cannot be read ({type(error).__qualname__})"
            partition.stop(
                self._consumer(),
                f"{reason}; setting the row past its producer's batch steps over it",
            )

    async def commit_offsets(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Commit to Kafka soon where rows stand, of partitions that are still owned then.

        Not batch by batch: that would be a sixth of all requests to the broker. What a kill loses
        of it matters only to a disk that is put back to within that time.
        """
        self._uncommitted |= offsets
        if self._closing:
            await self._commit()
        elif self._committing is None or self._committing.done():
            self._committing = asyncio.create_task(self._commit_soon(), name="commit offsets")

    async def close(self) -> None:
        """Commit now, and from here on at once: the consumer is about to stop."""
        self._closing = True
        await self._commit()

    async def _commit_soon(self) -> None:
        # Again for what was added during a commit: perhaps no other batch follows.
        while self._uncommitted:
            await asyncio.sleep(_COMMIT_EVERY_SECONDS)
            await self._commit()

    async def _commit(self) -> None:
        offsets, self._uncommitted = self._uncommitted, {}
        owned = {p.handle: offsets[p.tp] for p in self._partitions.values() if p.tp in offsets}
        if owned:
            await commit(self._consumer(), owned)

    def problems(self) -> list[str]:
        """What is not being read, and why."""
        consumer = self._consumer()
        if consumer is None or not self._joined:
            return ["no partitions are assigned yet"]
        subscribed = sorted(consumer.subscription())
        gone = [topic for topic in subscribed if not consumer.partitions_for_topic(topic)]
        return [
            *([f"polls fail ({consumer.trouble})"] if consumer.trouble else []),
            *([self.failure] if self.failure else []),
            *(f"{topic}: the topic does not exist" for topic in gone),
            *(f"{p.tp}: {p.problem}" for p in self._partitions.values() if p.problem),
        ]

    def stopped(self) -> list[str]:
        """What will not go on when Kafka comes back: stopped partitions, and batches that fail."""
        stopped = [p for p in self._partitions.values() if p.phase is Phase.STOPPED]
        failed = [self.failure] if self.failure else []
        return failed + [f"{p.tp}: {p.problem}" for p in stopped]

    def lag(self) -> dict[str, float]:
        """Records (and markers) still to be read by partition, as of the last check."""
        return {str(p.tp): p.lag for p in self._partitions.values()}

    def levels(self) -> list[Level]:
        """The lag of each partition that was checked, and how many are stopped."""
        mine = self._partitions.values()
        lags = [
            Level(LAG, p.lag, (p.tp.topic, str(p.tp.partition)))
            for p in mine
            if not math.isnan(p.end)
        ]
        return [*lags, Level(STOPPED, sum(p.phase is Phase.STOPPED for p in mine))]

    def _name(self, handle: KafkaTopicPartition) -> TopicPartition:
        return TopicPartition(handle.topic.removeprefix(self._prefix), handle.partition)

    def _is_reading(self, partition: Partition) -> bool:
        return (
            self._partitions.get(partition.handle) is partition and partition.phase is Phase.READING
        )
