"""One assigned partition: where it stands between Kafka and Postgres, and what was polled of it."""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as KafkaTopicPartition

from shared.kafka.consumption.offsets import StoredOffset, TopicPartition
from shared.kafka.record import Record

log = logging.getLogger(__name__)


class Phase(Enum):
    """A partition is loaded, then read, or stopped until somebody repairs its row or its topic."""

    LOADING = auto()
    READING = auto()
    STOPPED = auto()


@dataclass(eq=False, slots=True)
class Partition:
    """A partition during one assignment. `handle` is its name in Kafka, with the topic prefix."""

    handle: KafkaTopicPartition
    tp: TopicPartition
    phase: Phase = Phase.LOADING
    problem: str = "its offset is not loaded yet"
    row: StoredOffset | None = None  # as it was when last loaded or saved
    # All before the cursor was handed out: the row stands here, or will when the batch that is in
    # progress is committed.
    cursor: int = 0
    # Whether the last committed record has yet to be read again, to detect a recreated topic.
    unverified: bool = False
    end: float = math.nan  # of the log, when last checked
    last_position: int = -1  # of Kafka's consumer, when last checked

    @property
    def fetch_offset(self) -> int:
        """The offset at which Kafka's consumer has to stand for the next poll."""
        if self.unverified and self.row and self.row.last_offset is not None:
            return self.row.last_offset
        return self.cursor

    @property
    def lag(self) -> float:
        """Records (and markers) still to be read, as of the last check; 0 before it."""
        return max(0, self.end - self.cursor)

    def start(self, consumer: AIOKafkaConsumer, row: StoredOffset | None, beginning: int) -> None:
        """Read from the row, or a log without one from its beginning."""
        self.phase, self.problem, self.row = Phase.READING, "", row
        self.cursor = row.next_offset if row else beginning
        # A record that retention has removed cannot be compared; nor can one at or behind a row
        # that was set back by hand.
        self.unverified = (
            row is not None
            and row.last_offset is not None
            and beginning <= row.last_offset < self.cursor
        )
        consumer.seek(self.handle, self.fetch_offset)
        consumer.resume(self.handle)

    def stop(self, consumer: AIOKafkaConsumer, reason: str) -> None:
        """Read nothing more, and log it as critical."""
        consumer.pause(self.handle)
        self.phase, self.problem = Phase.STOPPED, reason
        log.critical(
            "a partition is stopped: %s",
            reason,
            extra={"topic": self.tp.topic, "partition": self.tp.partition},
        )

    def reload(self, consumer: AIOKafkaConsumer) -> None:
        """The row is not where this process left it: start again from the row."""
        consumer.pause(self.handle)
        self.phase, self.problem = Phase.LOADING, "starting again from its row"

    def rewind(self, consumer: AIOKafkaConsumer, cursor: int) -> None:
        """Read again from the cursor."""
        self.cursor = cursor
        consumer.seek(self.handle, self.fetch_offset)

    def verify_continuity(self, first: Record) -> str | None:
        """Compare the first record polled with the last one committed; the reason why this is
        another log, or None.
        """
        if self.row and (first.offset, first.timestamp) != (
            self.row.last_offset,
            self.row.last_timestamp,
        ):
            return (
                f"the record at offset {self.row.last_offset} is not the one that was read: "
                "the topic was recreated"
            )
        self.unverified = False
        return None

    def stamp(self, records: Sequence[Record], position: int) -> "PartitionBatch":
        """What was just polled, with the cursor before and after it. `position` is where Kafka's
        consumer stands after the poll.
        """
        start, self.cursor = self.cursor, position
        return PartitionBatch(self, start, position, records)


@dataclass(frozen=True, slots=True)
class PartitionBatch:
    """One partition's part of a polled batch: all records of its log from `start` up to `end`, one
    or more.
    """

    partition: Partition
    start: int
    end: int
    records: Sequence[Record]

    @property
    def tp(self) -> TopicPartition:
        """The partition's name."""
        return self.partition.tp

    @property
    def done(self) -> StoredOffset:
        """The row once all of it is done."""
        last = self.records[-1]
        return StoredOffset(self.end, last.offset, last.timestamp)
