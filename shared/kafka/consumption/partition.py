"""One assigned partition: where it stands between Kafka and Postgres, and what was polled of it."""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

from aiokafka import AIOKafkaConsumer, TopicPartition

from shared.kafka.consumption.offsets import Place, Position
from shared.kafka.record import Record

log = logging.getLogger(__name__)


class Phase(Enum):
    """A partition is loaded, then read, or stopped for good until somebody mends its row or its
    topic.
    """

    LOADING = auto()
    READING = auto()
    STOPPED = auto()


@dataclass(eq=False, slots=True)
class Partition:
    """A partition for as long as one assignment lasts. `handle` is Kafka's name of it, with the
    topic's prefix.
    """

    handle: TopicPartition
    place: Place
    phase: Phase = Phase.LOADING
    problem: str = "its position is not loaded yet"
    row: Position | None = None  # as it was when last loaded or saved
    cursor: int = 0  # all before it was handed out; the row stands here, or will when the batch in hand is committed
    unproven: bool = False  # the record that the row remembers must come first, to prove that this is the same log
    end: float = math.nan  # of the log, when last looked at
    seen: int = -1  # where Kafka's consumer stood then

    @property
    def origin(self) -> int:
        """The offset that Kafka's consumer has to stand at for the next poll."""
        return (
            self.row.last_offset
            if self.unproven and self.row and self.row.last_offset is not None
            else self.cursor
        )

    def start(self, consumer: AIOKafkaConsumer, row: Position | None, beginning: int) -> None:
        """Read from the row, or a log without one from its beginning."""
        self.phase, self.problem, self.row = Phase.READING, "", row
        self.cursor = row.next_offset if row else beginning
        # A record that retention has removed proves nothing, nor does one that the row was set back
        # before by hand.
        self.unproven = (
            row is not None
            and row.last_offset is not None
            and beginning <= row.last_offset < self.cursor
        )
        consumer.seek(self.handle, self.origin)
        consumer.resume(self.handle)

    def stop(self, consumer: AIOKafkaConsumer, reason: str) -> None:
        """Read nothing more, and say so loudly."""
        consumer.pause(self.handle)
        self.phase, self.problem = Phase.STOPPED, reason
        log.critical(
            "a partition is stopped: %s",
            reason,
            extra={"topic": self.place.topic, "partition": self.place.partition},
        )

    def reload(self, consumer: AIOKafkaConsumer) -> None:
        """The row is not where this process left it: start again from the row."""
        consumer.pause(self.handle)
        self.phase, self.problem = Phase.LOADING, "starting again from its row"

    def rewind(self, consumer: AIOKafkaConsumer, cursor: int) -> None:
        """Read again from the cursor."""
        self.cursor = cursor
        consumer.seek(self.handle, self.origin)

    def prove(self, first: Record) -> str | None:
        """Why the first record polled says that this is not the log that the row speaks of."""
        if self.row and (first.offset, first.timestamp) != (
            self.row.last_offset,
            self.row.last_timestamp,
        ):
            return f"the record at offset {self.row.last_offset} is not the one that was read: the topic was recreated"
        self.unproven = False
        return None

    def take(self, records: Sequence[Record], position: int) -> "Slice":
        """Stamp what was just polled with the cursor. `position` is where Kafka's consumer stands
        after the poll.
        """
        start, self.cursor = self.cursor, position
        return Slice(self, start, position, records)


@dataclass(frozen=True, slots=True)
class Slice:
    """One partition's part of a polled batch: all records that its log holds from `start` up to
    `end`.
    """

    partition: Partition
    start: int
    end: int
    records: Sequence[Record]
