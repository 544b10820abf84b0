"""What is decided about records, rows and logs, without either Kafka or Postgres."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest
from aiokafka import TopicPartition
from asyncpg.exceptions._base import DataError as RefusedArgument

from shared.kafka.consumption.assignment import Assignment
from shared.kafka.consumption.batch import plan
from shared.kafka.consumption.offsets import Place, Position, mismatch
from shared.kafka.consumption.partition import Partition, Slice
from shared.kafka.consumption.records import links_of, read_record
from shared.kafka.record import Record
from shared.postgres.database import Database
from shared.postgres.errors import Conflict
from shared.postgres.isolation import never_poison
from tests.support.running import eventually

NOON = datetime(2030, 6, 1, 12, tzinfo=UTC)
PLACE = Place("things", 0)
TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def record(offset: int, *headers: tuple[str, bytes], place: Place = PLACE) -> Record:
    """A record of no importance."""
    return Record(place.topic, place.partition, offset, NOON, None, b"", headers)


def piece(start: int, end: int, *offsets: int, place: Place = PLACE) -> Slice:
    """A slice with records at some of its offsets; the others are markers."""
    partition = Partition(TopicPartition(*place), place)
    return Slice(partition, start, end, [record(offset, place=place) for offset in offsets])


def test_a_slice_that_begins_at_its_row_is_done_up_to_its_end() -> None:
    planned = plan([piece(5, 9, 5, 7)], {PLACE: Position(5)})

    assert [r.offset for r in planned.records] == [5, 7]
    assert planned.positions == {PLACE: Position(9, 7, NOON)}
    assert planned.misfits == []


def test_what_others_did_already_is_dropped() -> None:
    planned = plan([piece(5, 9, 5, 6, 7, 8)], {PLACE: Position(7, 6, NOON)})

    assert [r.offset for r in planned.records] == [7, 8]


@pytest.mark.parametrize("row", [9, 20])
def test_a_row_is_never_moved_back(row: int) -> None:
    planned = plan([piece(5, 9, 5, 8)], {PLACE: Position(row, 8, NOON)})

    assert planned.records == []
    assert planned.positions == {PLACE: Position(row, 8, NOON)}


@pytest.mark.parametrize("rows", [{}, {PLACE: Position(4)}], ids=["gone", "below"])
def test_nothing_is_done_of_a_slice_ahead_of_its_row(rows: dict[Place, Position]) -> None:
    other = Place("things", 1)
    fits, misfits = piece(0, 2, 0, 1, place=other), piece(5, 9, 5, 6)

    planned = plan([misfits, fits], {other: Position(0), **rows})

    assert planned.misfits == [misfits]
    assert [r.partition for r in planned.records] == [1, 1]
    assert PLACE not in planned.positions


@pytest.mark.parametrize(
    ("next_offset", "fits"), [(9, False), (10, True), (15, True), (20, True), (21, False)], ids=str
)
def test_a_log_from_10_up_to_20_fits_a_row_between(next_offset: int, fits: bool) -> None:
    assert (mismatch(Position(next_offset), 10, 20) is None) is fits


class Consumer:
    """Remembers where it was told to stand."""

    at = -1

    def seek(self, _: TopicPartition, offset: int) -> None:
        """Stand at the offset."""
        self.at = offset

    def resume(self, _: TopicPartition) -> None:
        """Read on."""


@pytest.mark.parametrize(
    ("row", "beginning", "stands_at", "cursor"),
    [
        (None, 3, 3, 3),
        (Position(10, 8, NOON), 0, 8, 10),
        (Position(10, 8, NOON), 9, 10, 10),
        (Position(5, 8, NOON), 0, 5, 5),
        (Position(10), 0, 10, 10),
    ],
    ids=[
        "no row",
        "its last record proves the log",
        "retention took that one",
        "set back by hand",
        "nothing read yet",
    ],
)
def test_where_a_partition_starts(
    row: Position | None, beginning: int, stands_at: int, cursor: int
) -> None:
    partition, consumer = Partition(TopicPartition(*PLACE), PLACE), Consumer()

    partition.start(consumer, row, beginning)

    assert (consumer.at, partition.cursor) == (stands_at, cursor)


@pytest.mark.parametrize(("first", "same"), [(8, True), (9, False)])
def test_a_log_is_proven_by_the_last_record_that_was_read(first: int, same: bool) -> None:
    partition = Partition(TopicPartition(*PLACE), PLACE)
    partition.start(Consumer(), Position(10, 8, NOON), 0)

    assert (partition.prove(record(first)) is None) is same


class SlowKafka(Consumer):
    """Takes a commit when it is let go, and never answers what is committed."""

    def __init__(self) -> None:
        self.told: list[int] = []
        self.let_go = asyncio.Event()

    def pause(self, *_: TopicPartition) -> None:
        """Stand still."""

    async def committed(self, _: TopicPartition) -> None:
        """Does not come."""
        await asyncio.Event().wait()

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Hear where rows stand."""
        self.told += offsets.values()
        await self.let_go.wait()


async def test_what_is_done_while_kafka_is_told_is_told_after_it_though_nothing_follows() -> None:
    kafka = SlowKafka()
    assignment = Assignment(Database("postgresql://nowhere"), lambda: kafka, "")
    assignment.on_partitions_assigned({TopicPartition(*PLACE)})

    async def told() -> list[int]:
        return kafka.told

    await assignment.report({PLACE: 7})
    await eventually("Kafka hears of the first", told)
    await assignment.report({PLACE: 9})
    kafka.let_go.set()

    async def told_all() -> bool:
        return kafka.told == [7, 9]

    await eventually("Kafka hears of the last", told_all, seconds=5)
    assignment.on_partitions_revoked(set())


@dataclass
class Raw:
    """What aiokafka hands out."""

    timestamp: int = 0
    headers: tuple[tuple[str, bytes | None], ...] = ()
    partition: int = 0
    offset: int = 0
    key: bytes | None = None
    value: bytes | None = None


@pytest.mark.parametrize("timestamp", [-1, 0, 2**62, -(2**62)])
def test_reading_a_record_never_raises(timestamp: int) -> None:
    raw: Any = Raw(timestamp, (("a", None), ("a", b"\xff")))

    read = read_record(raw, "things")

    assert read.headers == (("a", b""), ("a", b"\xff"))
    assert read.timestamp.year in (1969, 1970)


def test_links_are_the_different_traces_of_a_batch() -> None:
    good = ("TraceParent", TRACEPARENT.encode())
    records = [record(0, good), record(1, good), record(2, ("traceparent", b"\xff")), record(3)]

    assert [link.traceparent for link in links_of(records)] == [TRACEPARENT]


@pytest.mark.parametrize(
    "error",
    [
        Conflict(),
        TimeoutError(),
        asyncpg.InterfaceError("the connection is closed"),
        asyncpg.AdminShutdownError(),
        asyncpg.DeadlockDetectedError(),
        asyncpg.UndefinedTableError(),
        asyncpg.InsufficientPrivilegeError(),
        asyncpg.PostgresIOError(),
        asyncpg.InvalidCachedStatementError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_of_the_surroundings_are_never_poison(error: Exception) -> None:
    assert never_poison(error)


@pytest.mark.parametrize(
    "error",
    [
        KeyError("name"),
        ValueError(),
        asyncpg.DataError(),
        asyncpg.CheckViolationError(),
        RefusedArgument("invalid input for query argument $1"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_of_a_record_are_poison(error: Exception) -> None:
    assert not never_poison(error)
