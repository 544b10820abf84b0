"""Loads where the partitions of one assignment start, and watches that their logs stay whole."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from aiokafka import TopicPartition as KafkaTopicPartition
from aiokafka.errors import KafkaError

from shared.kafka.consumption.consumer import Consumer
from shared.kafka.consumption.offsets import (
    Advance,
    StoredOffset,
    TopicPartition,
    advance_offsets,
    load_offsets,
    mismatch,
)
from shared.kafka.consumption.partition import Partition, Phase
from shared.postgres.database import Database
from shared.postgres.errors import UNAVAILABLE
from shared.postgres.installation import raise_epoch
from shared.postgres.wake import wait_at_most

log = logging.getLogger(__name__)
_RETRY_SECONDS = 0.5
_CHECK_EVERY_SECONDS = 5
_TOGETHER_SECONDS = 2


class OffsetSupervisor:
    """Runs during one assignment: once cancelled it changes nothing any more. `wake` has it check
    early.

    `commit_offsets` commits to Kafka where rows stand. Everybody commits through it, so that
    nothing older is committed after something newer. `note_check` is called after each check, with
    the error if it failed.
    """

    def __init__(
        self,
        database: Database,
        consumer: Consumer,
        partitions: Sequence[Partition],
        wake: asyncio.Event,
        commit_offsets: Callable[[Mapping[TopicPartition, int]], Awaitable[None]],
        note_check: Callable[[Exception | None], None],
    ) -> None:
        self._database = database
        self._consumer = consumer
        self._partitions = partitions
        self._wake = wake
        self._commit_offsets = commit_offsets
        self._note_check = note_check

    async def run(self) -> None:
        """Load what is to be loaded; otherwise, now and then, check that all logs are whole."""
        while True:
            try:
                if loading := self._in(Phase.LOADING):
                    await self._load(loading)
                if reading := self._in(Phase.READING):
                    await self._check(reading)
                await self._compare_rows()
            except Exception as error:
                self._failed(error)
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                self._note_check(None)
                await wait_at_most(_CHECK_EVERY_SECONDS, self._wake)
                self._wake.clear()

    def _in(self, phase: Phase) -> list[Partition]:
        return [partition for partition in self._partitions if partition.phase is phase]

    def _failed(self, error: Exception) -> None:
        self._note_check(error)
        for partition in self._in(Phase.LOADING):
            partition.problem = f"its offset cannot be loaded ({type(error).__qualname__})"
        expected = isinstance(error, (KafkaError, *UNAVAILABLE))
        log.warning(
            "partition check failed",
            extra={"error": type(error).__qualname__},
            exc_info=None if expected else error,
        )

    async def _load(self, partitions: Sequence[Partition]) -> None:
        # The order matters: each is newer than the one before, so that another owner's progress
        # meanwhile cannot make the commit appear ahead of the row, nor the row ahead of the log.
        commits = await asyncio.gather(
            *(self._consumer.committed(partition.handle) for partition in partitions)
        )
        rows = await self._rows(partitions)
        ahead = []
        for partition, committed in zip(partitions, commits, strict=True):
            known = max(committed or 0, _next(partition.row))
            if known > _next(rows.get(partition.tp)):
                ahead.append(partition)
        if ahead:
            await self._put_back(ahead, rows)
        await self._with_bounds(
            partitions, lambda p, beginning, end: self._start(p, rows.get(p.tp), beginning, end)
        )

    async def _start(
        self, partition: Partition, row: StoredOffset | None, beginning: int, end: int
    ) -> None:
        if row and (reason := mismatch(row.next_offset, beginning, end)):
            partition.row = row
            partition.stop(self._consumer, reason)
        else:
            partition.start(self._consumer, row, beginning)

    async def _put_back(
        self, ahead: Sequence[Partition], rows: Mapping[TopicPartition, StoredOffset]
    ) -> None:
        """The database is older than what was committed to Kafka, or loaded before: the sequences
        that it hands out from now on must be above those that it handed out then.
        """
        async with self._database.transaction() as connection:
            epoch = await raise_epoch(connection)
        log.critical(
            "the database was put back to an earlier state: reading again from its rows, "
            "under a new epoch",
            extra={"epoch": epoch, "partitions": [str(partition.tp) for partition in ahead]},
        )
        # So that neither another try to start from there nor the next assignment raises it again.
        for partition in ahead:
            partition.row = rows.get(partition.tp, StoredOffset(0))
        await self._commit_offsets({partition.tp: _next(partition.row) for partition in ahead})

    async def _check(self, partitions: Sequence[Partition]) -> None:
        stood = {p: (p.cursor, await self._consumer.position(p.handle)) for p in partitions}
        await self._with_bounds(
            partitions, lambda p, beginning, end: self._check_one(p, *stood[p], beginning, end)
        )

    async def _check_one(
        self, partition: Partition, cursor: int, position: int, beginning: int, end: int
    ) -> None:
        """Stop it when its log no longer reaches where it stood."""
        if partition.phase is not Phase.READING:
            return
        stalled = partition.last_position == position < end
        partition.end, partition.last_position = end, position
        partition.problem = "records wait, but none is read" if stalled else ""
        if partition.cursor != cursor:
            return
        if reason := mismatch(cursor, beginning, end):
            partition.stop(self._consumer, reason)
        elif position < beginning:
            # The record that was to be compared has left the log meanwhile.
            partition.reload(self._consumer)
            self._wake.set()
        elif position > cursor:
            await self._pass_markers(partition, position)

    async def _pass_markers(self, partition: Partition, position: int) -> None:
        """Move a row past what holds an offset and is no record: the end of a publisher's
        transaction, and what it took back. Publishers of signals may use transactions, earlier
        versions of the relay did. Were the row left before a marker that ends the log, retention
        would one day appear to have removed unread records.
        """
        cursor, tp = partition.cursor, partition.tp
        async with self._database.transaction() as connection:
            passed = {tp: Advance(cursor, StoredOffset(position))}
            moved = await advance_offsets(connection, passed)
        if moved and partition.cursor == cursor:
            partition.cursor = position
            if partition.row:
                partition.row = replace(partition.row, next_offset=position)
            await self._commit_offsets({tp: position})

    async def _compare_rows(self) -> None:
        """Load again where a row moved back with its database, or was repaired by hand for a
        stopped partition.
        """
        known = {
            partition: partition.row
            for partition in self._partitions
            if partition.phase is not Phase.LOADING
        }
        rows = await self._rows(list(known))
        for partition, before in known.items():
            row = rows.get(partition.tp)
            repaired = partition.phase is Phase.STOPPED and row != before
            put_back = partition.phase is Phase.READING and _next(row) < _next(before)
            if repaired or put_back:
                partition.reload(self._consumer)
                self._wake.set()

    async def _rows(self, partitions: Sequence[Partition]) -> dict[TopicPartition, StoredOffset]:
        if not partitions:
            return {}
        async with self._database.connection() as connection:
            return await load_offsets(connection, [partition.tp for partition in partitions])

    async def _with_bounds(
        self,
        partitions: Sequence[Partition],
        work: Callable[[Partition, int, int], Awaitable[None]],
    ) -> None:
        """Call `work` for each with the beginning and the end of its log.

        The bounds are requested together: apart, they would be a tenth of all requests to an idle
        broker. But one partition without a leader must hold up no other.
        """
        try:
            async with asyncio.timeout(_TOGETHER_SECONDS):
                together = await self._bounds([partition.handle for partition in partitions])
        except (KafkaError, TimeoutError) as error:
            self._note_check(error)
            together = {}

        async def one(partition: Partition) -> None:
            handle = partition.handle
            await work(partition, *(together.get(handle) or (await self._bounds([handle]))[handle]))

        await _all(one(partition) for partition in partitions)

    async def _bounds(
        self, handles: Sequence[KafkaTopicPartition]
    ) -> dict[KafkaTopicPartition, tuple[int, int]]:
        beginnings = await self._consumer.beginning_offsets(handles)
        ends = await self._consumer.end_offsets(handles)
        return {handle: (beginnings[handle], ends[handle]) for handle in handles}


async def _all(work: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Finish all of it, whatever fails, then raise the first failure."""
    for failed in await asyncio.gather(*work, return_exceptions=True):
        if failed:
            raise failed


def _next(row: StoredOffset | None) -> int:
    return row.next_offset if row else 0
