"""One batch, one transaction: advance the rows, drop repeats, do the work, dead-letter poison.

At low rates nearly every batch is one record, and what a transaction costs is its round trips. A
topic that has a decider is therefore tried without one first: read, then one statement that writes
everything, the offset row included, or nothing.
"""

import logging
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from shared.kafka.consumption.offsets import (
    Advance,
    StoredOffset,
    TopicPartition,
    advance_offsets,
    lock_offsets,
    offset_write,
    save_offsets,
)
from shared.kafka.consumption.partition import PartitionBatch
from shared.kafka.dead_letters.writing import dead_letter_for_record
from shared.kafka.handler import Cleanse, Decider, Handler
from shared.kafka.record import Record, traces_of
from shared.kafka.redrive import as_it_was
from shared.postgres.connection import Connection
from shared.postgres.database import Database
from shared.postgres.errors import Conflict
from shared.postgres.isolation import Isolation, isolate, never_poison, process_together
from shared.postgres.outbox import insert_outbox
from shared.postgres.writes import write_together
from shared.runtime.clock import Clock
from shared.telemetry import batch_span, measured_on_success

log = logging.getLogger(__name__)
_MAX_CONFLICTS = 10


@dataclass(slots=True)
class Plan:
    """The records of a batch that are still to be done, the rows after that, and the stale parts:
    those whose row is behind them.
    """

    records: list[Record] = field(default_factory=list)
    offsets: dict[TopicPartition, StoredOffset] = field(default_factory=dict)
    stale: list[PartitionBatch] = field(default_factory=list)


def make_plan(
    batches: Sequence[PartitionBatch], rows: Mapping[TopicPartition, StoredOffset]
) -> Plan:
    """Compare what was polled with the locked rows.

    A row that is missing or below the start means that the database was put back: what lies between
    was not polled, so nothing of that partition may be done. A row above the start means that
    others did some of it already.
    """
    plan = Plan()
    for batch in batches:
        row = rows.get(batch.tp)
        if row is None or row.next_offset < batch.start:
            plan.stale.append(batch)
            continue
        fresh = [record for record in batch.records if record.offset >= row.next_offset]
        plan.records += fresh
        last_offset, last_timestamp = row.last_offset, row.last_timestamp
        if fresh:
            last_offset, last_timestamp = fresh[-1].offset, fresh[-1].timestamp
        next_offset = max(batch.end, row.next_offset)
        plan.offsets[batch.tp] = StoredOffset(next_offset, last_offset, last_timestamp)
    return plan


class Worker:
    """Does a service's work on batches. `service` is named in dead letters."""

    def __init__(
        self,
        database: Database,
        handlers: Mapping[str, Handler],
        service: str,
        clock: Clock,
        deciders: Mapping[str, Decider] | None = None,
        cleanse: Mapping[str, Cleanse] | None = None,
    ) -> None:
        self._database = database
        self._cleanse = cleanse or {}
        self._deciders = deciders or {}
        self._topics: dict[Handler, list[str]] = {}
        for topic, handler in handlers.items():
            self._topics.setdefault(handler, []).append(topic)
        self._service = service
        self._clock = clock

    async def work(self, batches: Sequence[PartitionBatch]) -> Plan:
        """Commit a batch and return what was done. Raises Conflict after ten lost races."""
        try:
            return await self._statement(batches)
        except Exception as error:
            if not isinstance(error, Conflict) and never_poison(error):
                raise
        isolation: Isolation = process_together
        for _ in range(_MAX_CONFLICTS):
            try:
                return await self._transaction(batches, isolation)
            except Conflict:
                log.info("lost a race, working again on the same batch")
            except Exception as error:
                if isolation is isolate or never_poison(error):
                    raise
                isolation = isolate
        raise Conflict

    async def _statement(self, batches: Sequence[PartitionBatch]) -> Plan:
        """Work on the batch without a transaction. Raises Conflict where that is not possible.

        The offset row is the proof that nobody else did this work, and that the database was not
        put back. A crash before the statement ends leaves everything as it was.
        """
        batch, *others = batches
        decide = self._deciders.get(batch.tp.topic)
        if decide is None or others or batch.partition.row is None:
            raise Conflict
        with measured_on_success():
            async with self._database.connection() as connection:
                writes = await decide(connection, batch.records)
                links = traces_of(batch.records)
                with batch_span("process", batch.tp.topic, len(batch.records), links):
                    advance = offset_write(batch.tp, Advance(batch.start, batch.done))
                    await write_together(connection, [advance, *writes])
        return Plan(list(batch.records), {batch.tp: batch.done})

    async def _transaction(self, batches: Sequence[PartitionBatch], isolation: Isolation) -> Plan:
        async with self._database.transaction() as connection:
            plan = await self._advance(connection, batches)
            for handler, topics in self._topics.items():
                by_topic = {
                    topic: [record for record in plan.records if record.topic == topic]
                    for topic in topics
                }
                await self._handle(connection, handler, by_topic, isolation)
        return plan

    async def _advance(self, connection: Connection, batches: Sequence[PartitionBatch]) -> Plan:
        """Move the rows before the work is done: both are committed, or neither.

        As a rule every row stands where its batch starts, and one statement does it. The others
        are missing, behind or ahead: they are compared.
        """
        moved = await advance_offsets(
            connection, {batch.tp: Advance(batch.start, batch.done) for batch in batches}
        )
        rows = {batch.tp: StoredOffset(batch.start) for batch in batches if batch.tp in moved}
        others = [batch for batch in batches if batch.tp not in moved]
        if not others:
            return make_plan(batches, rows)
        new = {b.tp: StoredOffset(b.start) for b in others if b.partition.row is None}
        rows |= await lock_offsets(connection, [batch.tp for batch in others], new)
        plan = make_plan(batches, rows)
        rest = {tp: offset for tp, offset in plan.offsets.items() if tp not in moved}
        await save_offsets(connection, rest)
        return plan

    async def _handle(
        self,
        connection: Connection,
        handler: Handler,
        by_topic: Mapping[str, Sequence[Record]],
        isolation: Isolation,
    ) -> None:
        with ExitStack() as spans:
            for topic, records in by_topic.items():
                if records:
                    spans.enter_context(
                        batch_span("process", topic, len(records), traces_of(records))
                    )
            if together := [record for records in by_topic.values() for record in records]:
                await isolation(connection, together, handler, self._dead_letter)

    async def _dead_letter(self, connection: Connection, record: Record, error: Exception) -> None:
        log.error(
            "a record goes to the dead letters",
            extra={
                "topic": record.topic,
                "partition": record.partition,
                "offset": record.offset,
                "error": type(error).__qualname__,
            },
        )
        now = self._clock()
        cleanse = self._cleanse.get(as_it_was(record).topic)
        letter = dead_letter_for_record(record, error, self._service, now, cleanse)
        await insert_outbox(connection, [letter], now)
