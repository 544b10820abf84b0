"""Sees to the partitions of one assignment: loads where they start, and watches that their logs
stay whole.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from shared.kafka.consumption.consumer import Consumer
from shared.kafka.consumption.offsets import Place, Position, load_positions, mismatch, skip_markers
from shared.kafka.consumption.partition import Partition, Phase
from shared.postgres.database import Database
from shared.postgres.errors import UNAVAILABLE
from shared.postgres.installation import raise_epoch
from shared.postgres.wake import wait_at_most

log = logging.getLogger(__name__)
_RETRY_SECONDS = 0.5
_WATCH_SECONDS = 5
_TOGETHER_SECONDS = 2


class Keeper:
    """Runs as long as one assignment lasts: cancelled, it touches nothing any more. `look` wakes it
    early.

    `report` has Kafka told where rows stand. All do that by it, so that nothing older is told after
    something newer.
    """

    def __init__(
        self,
        database: Database,
        consumer: Consumer,
        partitions: Sequence[Partition],
        look: asyncio.Event,
        report: Callable[[Mapping[Place, int]], Awaitable[None]],
    ) -> None:
        self._database = database
        self._consumer = consumer
        self._partitions = partitions
        self._look = look
        self._report = report

    async def run(self) -> None:
        """Load what is to be loaded; otherwise, now and then, look whether all logs are still
        whole.
        """
        while True:
            try:
                if loading := self._in(Phase.LOADING):
                    await self._load(loading)
                if reading := self._in(Phase.READING):
                    await self._watch(reading)
                await self._compare()
            except Exception as error:
                self._failed(error)
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                await wait_at_most(_WATCH_SECONDS, self._look)
                self._look.clear()

    def _in(self, phase: Phase) -> list[Partition]:
        return [partition for partition in self._partitions if partition.phase is phase]

    def _failed(self, error: Exception) -> None:
        for partition in self._in(Phase.LOADING):
            partition.problem = f"its position cannot be loaded ({type(error).__qualname__})"
        expected = isinstance(error, (KafkaError, *UNAVAILABLE))
        log.warning(
            "the partitions cannot be seen to",
            extra={"error": type(error).__qualname__},
            exc_info=None if expected else error,
        )

    async def _load(self, partitions: Sequence[Partition]) -> None:
        # The order matters: each is newer than the one before, so that another owner's progress
        # meanwhile cannot make the commit look ahead of the row, nor the row look ahead of the log.
        commits = await asyncio.gather(
            *(self._consumer.committed(partition.handle) for partition in partitions)
        )
        rows = await self._rows(partitions)
        told = [max(at or 0, _next(p.row)) for p, at in zip(partitions, commits, strict=True)]
        ahead = [p for p, at in zip(partitions, told, strict=True) if at > _next(rows.get(p.place))]
        if ahead:
            await self._put_back(ahead, rows)
        await self._within(
            partitions, lambda p, beginning, end: self._start(p, rows.get(p.place), beginning, end)
        )

    async def _start(
        self, partition: Partition, row: Position | None, beginning: int, end: int
    ) -> None:
        if row and (reason := mismatch(row, beginning, end)):
            partition.row = row
            partition.stop(self._consumer, reason)
        else:
            partition.start(self._consumer, row, beginning)

    async def _put_back(self, ahead: Sequence[Partition], rows: Mapping[Place, Position]) -> None:
        """The database is older than what it told Kafka or us: what it hands out from now on must
        not look old.
        """
        async with self._database.transaction() as connection:
            epoch = await raise_epoch(connection)
        log.critical(
            "the database was put back to an earlier state: reading again from its rows, under a new epoch",
            extra={
                "epoch": epoch,
                "partitions": [f"{p.place.topic}/{p.place.partition}" for p in ahead],
            },
        )
        # So that neither another try to start from there nor the next assignment raises it again.
        for partition in ahead:
            partition.row = rows.get(partition.place, Position(0))
        await self._report({p.place: _next(p.row) for p in ahead})

    async def _watch(self, partitions: Sequence[Partition]) -> None:
        stood = {p: (p.cursor, await self._consumer.position(p.handle)) for p in partitions}
        await self._within(
            partitions, lambda p, beginning, end: self._look_at(p, *stood[p], beginning, end)
        )

    async def _look_at(
        self, partition: Partition, cursor: int, position: int, beginning: int, end: int
    ) -> None:
        """Stop it when its log no longer reaches where it stood; step over markers at the log's
        end.
        """
        if partition.phase is not Phase.READING:
            return
        partition.end = end
        stalled = partition.seen == position < partition.end
        partition.seen, partition.problem = (
            position,
            "records wait, but none is read" if stalled else "",
        )
        if partition.cursor != cursor:
            return
        if reason := mismatch(Position(cursor), beginning, partition.end):
            partition.stop(self._consumer, reason)
        elif position < beginning:
            partition.reload(
                self._consumer
            )  # the record that was to prove the log has left it meanwhile
            self._look.set()
        elif position > cursor:
            await self._skip_markers(partition, cursor, position)

    async def _skip_markers(self, partition: Partition, cursor: int, position: int) -> None:
        # Nothing was handed out between the two, so there are only markers there. Were the row left
        # before them, retention would one day seem to have removed records that were never read.
        async with self._database.transaction() as connection:
            moved = await skip_markers(connection, partition.place, cursor, position)
        if moved and partition.cursor == cursor:
            partition.cursor = position
            await self._report({partition.place: position})

    async def _compare(self) -> None:
        """Load again where a row moved back with its database, or was mended by hand for a stopped
        partition.
        """
        known = {
            partition: partition.row
            for partition in self._partitions
            if partition.phase is not Phase.LOADING
        }
        rows = await self._rows(list(known))
        for partition, before in known.items():
            row = rows.get(partition.place)
            mended = partition.phase is Phase.STOPPED and row != before
            put_back = partition.phase is Phase.READING and _next(row) < _next(before)
            if mended or put_back:
                partition.reload(self._consumer)
                self._look.set()

    async def _rows(self, partitions: Sequence[Partition]) -> dict[Place, Position]:
        if not partitions:
            return {}
        async with self._database.connection() as connection:
            return await load_positions(connection, [partition.place for partition in partitions])

    async def _within(
        self,
        partitions: Sequence[Partition],
        work: Callable[[Partition, int, int], Awaitable[None]],
    ) -> None:
        """Do it to each, with the beginning and the end of its log.

        The bounds are asked for together: apart, they would be a tenth of all that an idle broker
        is asked for. But one partition without a leader must hold up no other.
        """
        try:
            async with asyncio.timeout(_TOGETHER_SECONDS):
                together = await self._bounds([partition.handle for partition in partitions])
        except (KafkaError, TimeoutError):
            together = {}

        async def one(partition: Partition) -> None:
            handle = partition.handle
            await work(partition, *(together.get(handle) or (await self._bounds([handle]))[handle]))

        await _all(one(partition) for partition in partitions)

    async def _bounds(
        self, handles: Sequence[TopicPartition]
    ) -> dict[TopicPartition, tuple[int, int]]:
        beginnings = await self._consumer.beginning_offsets(handles)
        ends = await self._consumer.end_offsets(handles)
        return {handle: (beginnings[handle], ends[handle]) for handle in handles}


async def _all(work: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Do all of it, so that one partition without a leader holds up no other; then raise what
    failed first.
    """
    for failed in await asyncio.gather(*work, return_exceptions=True):
        if failed:
            raise failed


def _next(row: Position | None) -> int:
    return row.next_offset if row else 0
