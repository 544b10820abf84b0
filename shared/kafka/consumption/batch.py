"""One batch, one transaction: lock the rows, drop the repeats, do the work, bury what is poison,
advance the rows.
"""

import logging
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from shared.kafka.consumption.offsets import Place, Position, lock_positions, save_positions
from shared.kafka.consumption.partition import Slice
from shared.kafka.consumption.records import dead_letter, links_of
from shared.kafka.handler import Handler
from shared.kafka.record import Record
from shared.postgres.connection import Connection
from shared.postgres.database import Database
from shared.postgres.errors import Conflict
from shared.postgres.isolation import Isolation, isolate, never_poison, process_together
from shared.postgres.outbox import insert_outbox
from shared.runtime.clock import Clock
from shared.telemetry import batch_span

log = logging.getLogger(__name__)
_MAX_CONFLICTS = 10


@dataclass(slots=True)
class Plan:
    """What of a batch is still to be done, where its partitions stand then, and which slices do not
    fit their row.
    """

    records: list[Record] = field(default_factory=list)
    positions: dict[Place, Position] = field(default_factory=dict)
    misfits: list[Slice] = field(default_factory=list)


def plan(slices: Sequence[Slice], rows: Mapping[Place, Position]) -> Plan:
    """Compare slices with the locked rows.

    A row below a slice, or gone, means that the database was put back: what lies between is not in
    the slice, so nothing of the slice may be done. A row above it means that others did some of it
    already.
    """
    found = Plan()
    for piece in slices:
        row = rows.get(piece.partition.place)
        if row is None or row.next_offset < piece.start:
            found.misfits.append(piece)
            continue
        fresh = [record for record in piece.records if record.offset >= row.next_offset]
        found.records += fresh
        last = (
            (fresh[-1].offset, fresh[-1].timestamp)
            if fresh
            else (row.last_offset, row.last_timestamp)
        )
        found.positions[piece.partition.place] = Position(max(piece.end, row.next_offset), *last)
    return found


class Worker:
    """Does a service's work on batches. `service` is named in dead letters."""

    def __init__(
        self, database: Database, handlers: Mapping[str, Handler], service: str, clock: Clock
    ) -> None:
        self._database = database
        self._topics: dict[Handler, list[str]] = {}
        for topic, handler in handlers.items():
            self._topics.setdefault(handler, []).append(topic)
        self._service = service
        self._clock = clock

    async def work(self, slices: Sequence[Slice]) -> Plan:
        """Commit a batch and return what was done. Raises Conflict after losing the same race again
        and again.
        """
        isolation: Isolation = process_together
        for _ in range(_MAX_CONFLICTS):
            try:
                return await self._transaction(slices, isolation)
            except Conflict:
                log.info("lost a race, working again on the same batch")
            except Exception as error:
                if isolation is isolate or never_poison(error):
                    raise
                isolation = isolate
        raise Conflict

    async def _transaction(self, slices: Sequence[Slice], isolation: Isolation) -> Plan:
        new = {s.partition.place: Position(s.start) for s in slices if s.partition.row is None}
        async with self._database.transaction() as connection:
            rows = await lock_positions(
                connection, [piece.partition.place for piece in slices], new
            )
            planned = plan(slices, rows)
            for handler, topics in self._topics.items():
                by_topic = {
                    topic: [record for record in planned.records if record.topic == topic]
                    for topic in topics
                }
                await self._handle(connection, handler, by_topic, isolation)
            await save_positions(connection, planned.positions)
        return planned

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
                        batch_span("process", topic, len(records), links_of(records))
                    )
            if together := [record for records in by_topic.values() for record in records]:
                await isolation(connection, together, handler, self._bury)

    async def _bury(self, connection: Connection, record: Record, error: Exception) -> None:
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
        await insert_outbox(connection, [dead_letter(record, error, self._service, now)], now)
