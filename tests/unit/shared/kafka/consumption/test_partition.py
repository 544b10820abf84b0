"""Where one partition starts, and whether its log is the one that was read before."""

from datetime import UTC, datetime

import pytest
from aiokafka import TopicPartition as KafkaTopicPartition

from shared.kafka.consumption.offsets import StoredOffset, TopicPartition
from shared.kafka.consumption.partition import Partition, Phase
from shared.kafka.record import Record

NOON = datetime(2030, 6, 1, 12, tzinfo=UTC)
LATER = datetime(2030, 6, 1, 13, tzinfo=UTC)
TP = TopicPartition("things", 0)


class Consumer:
    """Remembers where it was set to stand, and whether it is paused."""

    at = -1
    paused = True

    def seek(self, _: KafkaTopicPartition, offset: int) -> None:
        """Stand at the offset."""
        self.at = offset

    def pause(self, _: KafkaTopicPartition) -> None:
        """Stand still."""
        self.paused = True

    def resume(self, _: KafkaTopicPartition) -> None:
        """Read on."""
        self.paused = False


def record(offset: int, timestamp: datetime = NOON) -> Record:
    """A record of no importance."""
    return Record("things", 0, offset, timestamp, None, b"")


def started(row: StoredOffset | None, beginning: int = 0) -> tuple[Partition, Consumer]:
    """A partition that reads from its row."""
    partition, consumer = Partition(KafkaTopicPartition(*TP), TP), Consumer()
    partition.start(consumer, row, beginning)
    return partition, consumer


@pytest.mark.parametrize(
    ("row", "beginning", "stands_at", "cursor"),
    [
        (None, 3, 3, 3),
        (StoredOffset(10, 8, NOON), 0, 8, 10),
        (StoredOffset(10, 8, NOON), 8, 8, 10),
        (StoredOffset(10, 8, NOON), 9, 10, 10),
        (StoredOffset(5, 8, NOON), 0, 5, 5),
        (StoredOffset(8, 8, NOON), 0, 8, 8),
        (StoredOffset(10), 0, 10, 10),
    ],
    ids=[
        "no row",
        "its last record is read again",
        "its last record is the first that the log has",
        "retention took its last record",
        "set back by hand",
        "set back by hand to its last record",
        "nothing read yet",
    ],
)
def test_where_a_partition_starts(
    row: StoredOffset | None, beginning: int, stands_at: int, cursor: int
) -> None:
    partition, consumer = started(row, beginning)

    assert (consumer.at, partition.cursor) == (stands_at, cursor)
    assert not consumer.paused
    assert partition.unverified is (stands_at != cursor)


@pytest.mark.parametrize(
    ("first", "same"),
    [(record(8), True), (record(9), False), (record(8, LATER), False)],
    ids=["the same", "another offset", "another time"],
)
def test_a_log_is_the_same_when_its_last_committed_record_is(first: Record, same: bool) -> None:
    partition, _ = started(StoredOffset(10, 8, NOON))

    reason = partition.verify_continuity(first)

    assert (reason is None) is same
    assert partition.unverified is not same
    assert same or "recreated" in (reason or "")


def test_a_rewind_before_the_log_is_verified_reads_its_last_record_again() -> None:
    partition, consumer = started(StoredOffset(10, 8, NOON))

    partition.rewind(consumer, 10)
    assert consumer.at == 8

    partition.verify_continuity(record(8))
    partition.rewind(consumer, 10)
    assert consumer.at == 10


def test_what_is_polled_is_stamped_with_the_cursor_before_and_after_it() -> None:
    partition, _ = started(StoredOffset(10))

    first = partition.stamp([record(10), record(12)], 15)
    second = partition.stamp([record(15)], 16)

    assert (first.start, first.end, second.start, second.end) == (10, 15, 15, 16)
    assert first.done == StoredOffset(15, 12, NOON)
    assert first.tp == TP


def test_a_stopped_partition_is_paused_and_says_why() -> None:
    partition, consumer = started(StoredOffset(10))

    partition.stop(consumer, "its log is another one")

    assert (partition.phase, partition.problem) == (Phase.STOPPED, "its log is another one")
    assert consumer.paused


def test_lag_is_never_negative() -> None:
    partition, _ = started(StoredOffset(10))
    assert partition.lag == 0

    partition.end = 12
    assert partition.lag == 2
    partition.end = 9
    assert partition.lag == 0
