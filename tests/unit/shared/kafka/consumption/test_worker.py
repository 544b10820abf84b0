"""What of a batch is still to be done, given where the rows stand."""

from datetime import UTC, datetime

import pytest
from aiokafka import TopicPartition as KafkaTopicPartition

from shared.kafka.consumption.offsets import StoredOffset, TopicPartition
from shared.kafka.consumption.partition import Partition, PartitionBatch
from shared.kafka.consumption.worker import make_plan
from shared.kafka.record import Record

NOON = datetime(2030, 6, 1, 12, tzinfo=UTC)
TP = TopicPartition("things", 0)


def part(start: int, end: int, *offsets: int, tp: TopicPartition = TP) -> PartitionBatch:
    """A batch with records at some of its offsets; the others are markers."""
    partition = Partition(KafkaTopicPartition(*tp), tp)
    records = [Record(tp.topic, tp.partition, offset, NOON, None, b"") for offset in offsets]
    return PartitionBatch(partition, start, end, records)


def test_a_batch_that_begins_at_its_row_is_done_up_to_its_end() -> None:
    plan = make_plan([part(5, 9, 5, 7)], {TP: StoredOffset(5)})

    assert [r.offset for r in plan.records] == [5, 7]
    assert plan.offsets == {TP: StoredOffset(9, 7, NOON)}
    assert plan.stale == []


def test_the_row_to_be_is_the_same_without_comparing() -> None:
    batch = part(5, 9, 5, 7)

    assert make_plan([batch], {TP: StoredOffset(5)}).offsets == {TP: batch.done}


def test_what_others_did_already_is_dropped() -> None:
    plan = make_plan([part(5, 9, 5, 6, 7, 8)], {TP: StoredOffset(7, 6, NOON)})

    assert [r.offset for r in plan.records] == [7, 8]


@pytest.mark.parametrize("row", [9, 20])
def test_a_row_is_never_moved_back(row: int) -> None:
    plan = make_plan([part(5, 9, 5, 8)], {TP: StoredOffset(row, 8, NOON)})

    assert plan.records == []
    assert plan.offsets == {TP: StoredOffset(row, 8, NOON)}


@pytest.mark.parametrize("rows", [{}, {TP: StoredOffset(4)}], ids=["gone", "below"])
def test_nothing_is_done_of_a_batch_ahead_of_its_row(
    rows: dict[TopicPartition, StoredOffset],
) -> None:
    other = TopicPartition("things", 1)
    good, stale = part(0, 2, 0, 1, tp=other), part(5, 9, 5, 6)

    plan = make_plan([stale, good], {other: StoredOffset(0), **rows})

    assert plan.stale == [stale]
    assert [r.partition for r in plan.records] == [1, 1]
    assert TP not in plan.offsets
