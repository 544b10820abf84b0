"""One assigned partition: where it stands between Kafka and Postgres, and what was polled of it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

from aiokafka import TopicPartition

from shared.consumption.offsets import Place, Position
from shared.record import Record


class Phase(Enum):
    """A partition is loaded, then read, or stopped for good until somebody mends its row or its topic."""

    LOADING = auto()
    READING = auto()
    STOPPED = auto()


@dataclass(eq=False, slots=True)
class Partition:
    """A partition for as long as one assignment lasts. `handle` is Kafka's name of it, with the topic's prefix."""

    handle: TopicPartition
    place: Place
    phase: Phase = Phase.LOADING
    cursor: int = 0  # all before it was handed out; the row stands here, or will when the batch in hand is committed
    row: Position | None = None  # as it was when last loaded
    unproven: bool = False  # the record that the row remembers must come first, to prove that this is the same log
    end: float = math.nan
    problem: str = "its position is not loaded yet"

    def start(self, row: Position | None, beginning: int) -> int:
        """Begin to read; returns the offset to seek to."""
        self.phase, self.row, self.problem = Phase.READING, row, ""
        self.cursor = row.next_offset if row else beginning
        last = row.last_offset if row else None
        # One that retention has removed proves nothing, nor one that the row was set back to by hand.
        self.unproven = last is not None and beginning <= last < self.cursor
        return last if last is not None and self.unproven else self.cursor

    def stop(self, reason: str) -> None:
        """Read nothing more."""
        self.phase, self.problem = Phase.STOPPED, reason

    def take(self, records: Sequence[Record], position: int) -> "Slice | None":
        """Stamp what was just polled with the cursor. `position` is where Kafka's consumer stands after the poll."""
        if self.unproven and self.row:
            first = records[0]
            if (first.offset, first.timestamp) != (self.row.last_offset, self.row.last_timestamp):
                self.stop(f"the record at offset {self.row.last_offset} is not the one read: the topic was recreated")
                return None
            self.unproven, records = False, records[1:]
        if not records:
            return None
        start, self.cursor = self.cursor, position
        return Slice(self, start, position, records)


@dataclass(frozen=True, slots=True)
class Slice:
    """One partition's part of a polled batch: all records that its log holds from `start` up to `end`."""

    partition: Partition
    start: int
    end: int
    records: Sequence[Record]
