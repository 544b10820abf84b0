"""Gives records to reporting as its consumption would, without Kafka: offsets, handler and books in
one transaction.
"""

from collections import Counter
from collections.abc import Sequence

from services.reporting.handlers import PROJECTED, Reporting
from shared.events.facts import Event, event_message
from shared.kafka.consumption.offsets import (
    StoredOffset,
    TopicPartition,
    lock_offsets,
    save_offsets,
)
from shared.kafka.record import Record
from shared.postgres.database import Database
from shared.runtime.clock import system_clock


class Feed:
    """Reporting's side of the topics, each with one partition. Every call is one batch."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._reporting = Reporting(system_clock)
        self._next: Counter[str] = Counter()

    async def events(self, *events: Event) -> None:
        """Facts, each on its topic."""
        await self.records([self.record(event) for event in events])

    def record(self, event: Event) -> Record:
        """The event as the next record of its topic."""
        message = event_message(event)
        headers = tuple((name, value.encode()) for name, value in message.headers.items())
        return self.place(
            Record(message.topic, 0, 0, event.time, message.key, message.value, headers)
        )

    def place(self, record: Record) -> Record:
        """The record at the next offset of its topic."""
        offset = self._next[record.topic]
        self._next[record.topic] += 1
        return Record(
            record.topic, 0, offset, record.timestamp, record.key, record.value, record.headers
        )

    async def records(self, records: Sequence[Record]) -> None:
        """Records that have their offsets."""
        by_topic = {
            topic: [r for r in records if r.topic == topic] for topic in {r.topic for r in records}
        }
        starts = {
            TopicPartition(topic, 0): StoredOffset(found[0].offset)
            for topic, found in by_topic.items()
        }
        ends = {
            TopicPartition(topic, 0): StoredOffset(
                found[-1].offset + 1, found[-1].offset, found[-1].timestamp
            )
            for topic, found in by_topic.items()
        }
        async with self._database.transaction() as connection:
            await lock_offsets(connection, list(starts), starts)
            for topic, found in by_topic.items():
                handle = (
                    self._reporting.record_and_project
                    if topic in PROJECTED
                    else self._reporting.record
                )
                await handle(connection, found)
            await save_offsets(connection, ends)
