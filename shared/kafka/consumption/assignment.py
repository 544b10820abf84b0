"""The partitions that this process owns, through Kafka's rebalances, and what is polled of them.

Kafka assigns, Postgres says where to start. From the moment of assignment a partition is paused,
until its row is loaded, its log is found to reach the row, and the consumer stands at the row (see
`keeper`).
"""

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import Any

from aiokafka import ConsumerRebalanceListener, TopicPartition

from shared.kafka.consumption.consumer import Consumer, commit
from shared.kafka.consumption.keeper import Keeper
from shared.kafka.consumption.offsets import Place
from shared.kafka.consumption.partition import Partition, Phase, Slice
from shared.kafka.consumption.records import read_record
from shared.kafka.dead_letters.writing import count_from
from shared.postgres.database import Database
from shared.telemetry import Level
from shared.telemetry.metrics import LAG, STOPPED

_REPORT_SECONDS = 0.2


class Assignment(ConsumerRebalanceListener):  # type: ignore[misc]
    """Follows one Kafka consumer through its life. `consumer` gives it, or None before it exists."""

    def __init__(self, database: Database, consumer: Callable[[], Any], topic_prefix: str) -> None:
        self._database = database
        self._consumer = consumer
        self._prefix = topic_prefix
        self.failure = ""  # of the last batch
        self.given_up = asyncio.Event()
        self._joined = False
        self._partitions: dict[tuple[str, int], Partition] = {}
        self._look = asyncio.Event()
        self._keeping: asyncio.Task[None] | None = None
        self._unreported: dict[Place, int] = {}
        self._reporting: asyncio.Task[None] | None = None
        self._closing = False

    def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Own nothing from now on. What is being worked on may finish: its rows tell whether it
        still counts.
        """
        self._joined = False
        self._partitions = {}
        if self._keeping:
            self._keeping.cancel()

    def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """Own these from now on.

        Synchronous to its end: were anything awaited before the pause, aiokafka would hand out
        records from wherever it thinks they start; and it sends no heartbeats while a listener
        runs, so loading is a task of its own.
        """
        self.on_partitions_revoked(assigned)
        self._joined, self.failure = True, ""
        self._partitions = {
            handle: Partition(
                handle, Place(handle.topic.removeprefix(self._prefix), handle.partition)
            )
            for handle in assigned
        }
        consumer: Consumer = self._consumer()
        consumer.pause(*assigned)
        for handle in assigned:
            # Any position will do: with one, aiokafka does not go and look for a committed offset.
            consumer.seek(handle, 0)
        for topic in {handle.topic.removeprefix(self._prefix) for handle in assigned}:
            count_from(topic)
        keeper = Keeper(
            self._database, consumer, list(self._partitions.values()), self._look, self.report
        )
        self._keeping = asyncio.create_task(keeper.run(), name="keeper")

    async def take(self, raw: Sequence[Any]) -> list[Slice]:
        """What was polled, in slices stamped with their partition's cursor.

        Must follow the poll without a suspension, and has none itself: `position` answers from
        memory after a poll.
        """
        slices = []
        for handle, polled in groupby(raw, lambda record: (record.topic, record.partition)):
            partition = self._partitions.get(handle)
            if partition is None or partition.phase is not Phase.READING:
                continue
            records = [read_record(record, partition.place.topic) for record in polled]
            if partition.unproven:
                if reason := partition.prove(records[0]):
                    partition.stop(self._consumer(), reason)
                    continue
                records = records[1:]
            if records:
                slices.append(
                    partition.take(records, await self._consumer().position(partition.handle))
                )
        return slices

    def rewind(self, slices: Sequence[Slice]) -> None:
        """Read these slices again: nothing of them was committed, as far as is known."""
        for piece in slices:
            if self._reads(piece.partition):
                piece.partition.rewind(self._consumer(), piece.start)

    def rewind_all(self) -> None:
        """Read again whatever was polled and never came here."""
        for partition in self._partitions.values():
            if partition.phase is Phase.READING:
                partition.rewind(self._consumer(), partition.cursor)

    def reload(self, partition: Partition) -> None:
        """Start again from the row, which is not where this process left it."""
        if self._reads(partition):
            partition.reload(self._consumer())
            self.look()

    def look(self) -> None:
        """See to the partitions now."""
        self._look.set()

    def give_up(self) -> None:
        """Have the consumer replaced."""
        self.given_up.set()

    def unreadable(self, handle: TopicPartition, offset: int, error: Exception) -> None:
        """Stop where no record can be read. Kafka hands out whole batches, so there is no stepping
        over one record.
        """
        partition = self._partitions.get(handle)
        if partition and self._reads(partition):
            reason = f"the record at offset {offset} cannot be read ({type(error).__qualname__})"
            partition.stop(
                self._consumer(),
                f"{reason}; setting the row past its producer's batch steps over it",
            )

    async def report(self, positions: Mapping[Place, int]) -> None:
        """Have Kafka told soon where rows stand, as far as their partitions are still owned then.

        Not batch by batch: that would be a sixth of all that a broker is asked for. What a kill
        loses of it matters to a disk that is put back to within that time, and to nothing else.
        """
        self._unreported |= positions
        if self._closing:
            await self._tell()
        elif self._reporting is None or self._reporting.done():
            self._reporting = asyncio.create_task(self._tell_soon(), name="report")

    async def close(self) -> None:
        """Tell Kafka now, and from here on at once: its consumer is about to stop."""
        self._closing = True
        await self._tell()

    async def _tell_soon(self) -> None:
        while (
            self._unreported
        ):  # what came while Kafka was told as well: perhaps no other batch follows
            await asyncio.sleep(_REPORT_SECONDS)
            await self._tell()

    async def _tell(self) -> None:
        positions, self._unreported = self._unreported, {}
        owned = {
            p.handle: positions[p.place] for p in self._partitions.values() if p.place in positions
        }
        if owned:
            await commit(self._consumer(), owned)

    def problems(self) -> list[str]:
        """What is not being read, and why."""
        consumer = self._consumer()
        if consumer is None or not self._joined:
            return ["no partitions are assigned yet"]
        gone = [
            topic
            for topic in sorted(consumer.subscription())
            if not consumer.partitions_for_topic(topic)
        ]
        return [
            *([f"polls fail ({consumer.trouble})"] if consumer.trouble else []),
            *([self.failure] if self.failure else []),
            *(f"{topic}: the topic is gone" for topic in gone),
            *(
                f"{p.place.topic}/{p.place.partition}: {p.problem}"
                for p in self._partitions.values()
                if p.problem
            ),
        ]

    def stopped(self) -> list[str]:
        """What will not go on when Kafka comes back: stopped partitions, and batches that fail."""
        stopped = (p for p in self._partitions.values() if p.phase is Phase.STOPPED)
        return [
            *([self.failure] if self.failure else []),
            *(f"{p.place.topic}/{p.place.partition}: {p.problem}" for p in stopped),
        ]

    def lag(self) -> dict[str, float]:
        """Records (and markers) still to be read by partition, as of the last look."""
        return {
            f"{p.place.topic}/{p.place.partition}": max(0, p.end - p.cursor)
            for p in self._partitions.values()
        }

    def levels(self) -> list[Level]:
        """The lag of each partition that was looked at, and how many are stopped."""
        mine = self._partitions.values()
        lags = [
            Level(LAG, max(0, p.end - p.cursor), (p.place.topic, str(p.place.partition)))
            for p in mine
            if not math.isnan(p.end)
        ]
        return [*lags, Level(STOPPED, sum(p.phase is Phase.STOPPED for p in mine))]

    def _reads(self, partition: Partition) -> bool:
        return (
            self._partitions.get(partition.handle) is partition and partition.phase is Phase.READING
        )
