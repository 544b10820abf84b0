"""The partitions that this process owns: where each starts, what was polled of it, and whether its log is still whole.

Kafka assigns, Postgres says where to start. From the moment of assignment a partition is paused, until its row is
loaded, its log is found to reach the row, and the consumer stands at the row.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError

from shared.consumption.offsets import Place, Position, load_positions, mismatch, skip_markers
from shared.consumption.partition import Partition, Phase, Slice
from shared.consumption.records import read_record
from shared.db import UNAVAILABLE, Database
from shared.installation import raise_epoch

log = logging.getLogger(__name__)
_RETRY_SECONDS = 0.5
_WATCH_SECONDS = 5
_COMMIT_SECONDS = 2


class Assignment(ConsumerRebalanceListener):  # type: ignore[misc]
    """Follows one Kafka consumer through its rebalances. `consumer` gives it once it exists."""

    def __init__(self, database: Database, consumer: Callable[[], AIOKafkaConsumer], topic_prefix: str) -> None:
        self._database = database
        self._consumer = consumer
        self._prefix = topic_prefix
        self._joined = False
        self._partitions: dict[tuple[str, int], Partition] = {}
        self._woken = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None

    def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Own nothing from now on. What is being worked on may finish: its rows tell whether it still counts."""
        self._joined = False
        self._partitions = {}
        if self._keeper:
            self._keeper.cancel()

    def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """Own these from now on.

        Synchronous to its end: were anything awaited before the pause, aiokafka would hand out records from wherever
        it thinks they start; and it sends no heartbeats while a listener runs, so loading is a task of its own.
        """
        self.on_partitions_revoked(assigned)
        self._joined = True
        self._partitions = {handle: Partition(handle, self._place(handle)) for handle in assigned}
        self._consumer().pause(*assigned)
        for handle in assigned:
            # Any position will do: with one, aiokafka does not go and look for a committed offset.
            self._consumer().seek(handle, 0)
        self._keeper = asyncio.create_task(self._keep(), name="assignment")

    async def take(self, raw: Sequence[Any]) -> list[Slice]:
        """What was polled, in slices stamped with their partition's cursor.

        Must follow the poll without a suspension, and has none itself: `position` answers from memory after a poll.
        """
        slices = []
        for handle, polled in groupby(raw, lambda record: (record.topic, record.partition)):
            partition = self._partitions.get(handle)
            if partition is None or partition.phase is not Phase.READING:
                continue
            records = [read_record(record, partition.place.topic) for record in polled]
            if taken := partition.take(records, await self._consumer().position(partition.handle)):
                slices.append(taken)
            elif partition.problem:
                self._stopped(partition)
        return slices

    def rewind(self, slices: Sequence[Slice]) -> None:
        """Read these slices again: nothing of them was committed, as far as is known."""
        for taken in slices:
            if self._reads(taken.partition):
                self._consumer().seek(taken.partition.handle, taken.start)
                taken.partition.cursor = taken.start

    def reload(self, partition: Partition) -> None:
        """Its row is not where this process left it: start again from the row."""
        if self._reads(partition):
            self._consumer().pause(partition.handle)
            partition.phase = Phase.LOADING
            partition.problem = "starting again from its row"
            self._woken.set()

    async def report(self, positions: Mapping[Place, int]) -> None:
        """Tell Kafka, for lag monitors and for the check on assignment. Best effort: nothing is read from it."""
        owned = {
            TopicPartition(*handle): positions[partition.place]
            for handle, partition in self._partitions.items()
            if partition.place in positions
        }
        if not owned:
            return
        try:
            async with asyncio.timeout(_COMMIT_SECONDS):
                await self._consumer().commit(owned)
        except (KafkaError, TimeoutError) as error:
            log.info("Kafka did not take the commit", extra={"error": type(error).__qualname__})

    def problems(self) -> list[str]:
        """What is not being read, and why."""
        consumer = self._consumer()
        if consumer is None or not self._joined:
            return ["no partitions are assigned yet"]
        gone = [topic for topic in sorted(consumer.subscription()) if not consumer.partitions_for_topic(topic)]
        return [
            *(f"{topic}: the topic is gone" for topic in gone),
            *(f"{p.place.topic}/{p.place.partition}: {p.problem}" for p in self._partitions.values() if p.problem),
        ]

    def lag(self) -> dict[str, float]:
        """Records (and markers) still to be read by partition, as of the last look."""
        return {f"{p.place.topic}/{p.place.partition}": max(0, p.end - p.cursor) for p in self._partitions.values()}

    def _reads(self, partition: Partition) -> bool:
        return self._partitions.get(partition.handle) is partition and partition.phase is Phase.READING

    def _place(self, handle: TopicPartition) -> Place:
        return Place(handle.topic.removeprefix(self._prefix), handle.partition)

    async def _keep(self) -> None:
        """Load what is to be loaded; otherwise, now and then, look whether all logs are still whole."""
        while True:
            try:
                if loading := self._in(Phase.LOADING):
                    await self._load(loading)
                else:
                    await self._watch()
                    await self._look_again()
            except Exception as error:
                self._failed(error)
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                await self._wait()

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(_WATCH_SECONDS):
                await self._woken.wait()
        except TimeoutError:
            return
        self._woken.clear()

    def _in(self, phase: Phase) -> list[Partition]:
        return [partition for partition in self._partitions.values() if partition.phase is phase]

    def _failed(self, error: Exception) -> None:
        for partition in self._in(Phase.LOADING):
            partition.problem = f"its position cannot be loaded ({type(error).__qualname__})"
        expected = isinstance(error, (KafkaError, *UNAVAILABLE))
        log.warning("partitions cannot be looked after", exc_info=None if expected else error)

    async def _load(self, partitions: Sequence[Partition]) -> None:
        # The order matters: each is newer than the one before, so that another owner's progress meanwhile cannot make
        # the commit look ahead of the row, nor the row look ahead of the log.
        committed = dict(
            zip(
                partitions,
                await asyncio.gather(*(self._consumer().committed(p.handle) for p in partitions)),
                strict=True,
            )
        )
        rows = await self._rows(partitions)
        beginnings, ends = await self._bounds(partitions)
        behind = [p for p in partitions if (committed[p] or 0) > _next(rows.get(p.place))]
        if behind:
            await self._put_back(behind, rows)
        for partition in partitions:
            row, beginning = rows.get(partition.place), beginnings[partition.handle]
            partition.row, partition.end = row, ends[partition.handle]
            if row and (reason := mismatch(row, beginning, ends[partition.handle])):
                partition.stop(reason)
                self._stopped(partition)
                continue
            self._consumer().seek(partition.handle, partition.start(row, beginning))
            self._consumer().resume(partition.handle)

    async def _put_back(self, behind: Sequence[Partition], rows: Mapping[Place, Position]) -> None:
        """The database is older than what it once told Kafka: what it hands out from now on must not look old."""
        async with self._database.transaction() as connection:
            epoch = await raise_epoch(connection)
        log.critical(
            "the database was put back to an earlier state: reading again from its rows, under a new epoch",
            extra={"epoch": epoch, "partitions": [f"{p.place.topic}/{p.place.partition}" for p in behind]},
        )
        await self.report({p.place: _next(rows.get(p.place)) for p in behind})

    async def _watch(self) -> None:
        """Stop partitions whose log no longer reaches their position; step over markers at a log's end."""
        reading = self._in(Phase.READING)
        seen = {p.handle: (p.cursor, await self._consumer().position(p.handle)) for p in reading}
        beginnings, ends = await self._bounds(reading)
        for partition in reading:
            cursor, position = seen[partition.handle]
            partition.end = ends[partition.handle]
            if partition.cursor != cursor or not self._reads(partition):
                continue  # it moves, so it is alive
            if reason := mismatch(Position(cursor), beginnings[partition.handle], partition.end):
                partition.stop(reason)
                self._stopped(partition)
            elif position < beginnings[partition.handle]:
                self.reload(partition)  # the record that was to prove the log has left it meanwhile
            elif position > cursor:
                await self._skip_markers(partition, cursor, position)

    async def _skip_markers(self, partition: Partition, cursor: int, position: int) -> None:
        # Nothing was handed out between the two, so there are only markers there. Were the row left before them,
        # retention would one day seem to have removed records that were never read.
        async with self._database.transaction() as connection:
            moved = await skip_markers(connection, partition.place, cursor, position)
        if moved and partition.cursor == cursor:
            partition.cursor = position
            await self.report({partition.place: position})

    async def _look_again(self) -> None:
        """Somebody may have mended the row of a stopped partition."""
        stopped = self._in(Phase.STOPPED)
        rows = await self._rows(stopped)
        for partition in stopped:
            if rows.get(partition.place) != partition.row:
                partition.phase = Phase.LOADING
                self._woken.set()

    async def _rows(self, partitions: Sequence[Partition]) -> dict[Place, Position]:
        if not partitions:
            return {}
        async with self._database.connection() as connection:
            return await load_positions(connection, [partition.place for partition in partitions])

    async def _bounds(self, partitions: Sequence[Partition]) -> tuple[dict[Any, int], dict[Any, int]]:
        handles = [partition.handle for partition in partitions]
        consumer = self._consumer()
        return await consumer.beginning_offsets(handles), await consumer.end_offsets(handles)

    def _stopped(self, partition: Partition) -> None:
        self._consumer().pause(partition.handle)
        log.critical(
            "a partition is stopped: %s",
            partition.problem,
            extra={"topic": partition.place.topic, "partition": partition.place.partition},
        )


def _next(row: Position | None) -> int:
    return row.next_offset if row else 0
