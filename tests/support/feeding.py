"""Gives records to reporting as its consumption does, without Kafka: offset rows, handler and new
offsets in one transaction.
"""

from collections import Counter
from collections.abc import Sequence

from services.reporting.handlers import Handlers
from services.reporting.topics import PROJECTED
from shared.events.facts import Event, event_message
from shared.kafka.consumption.offsets import (
    StoredOffset,
    TopicPartition,
    lock_offsets,
    save_offsets,
)
from shared.kafka.record import Record
from shared.postgres.connection import Connection
from shared.postgres.database import Database
from shared.postgres.errors import Conflict
from shared.postgres.isolation import isolate
from shared.runtime.clock import system_clock
from tests.support.outage import Outage


class Feed:
    """Reporting's side of the topics, each with one partition. Every call is one batch."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._handlers = Handlers(system_clock)
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
        while True:
            try:
                async with self._database.transaction() as connection:
                    await lock_offsets(connection, list(starts), starts)
                    for topic, found in by_topic.items():
                        await self._handle(connection, topic, found)
                    await save_offsets(connection, ends)
                return
            except Conflict:
                continue

    async def _handle(self, connection: Connection, topic: str, records: Sequence[Record]) -> None:
        projects = topic in PROJECTED
        work = self._handlers.record_and_project if projects else self._handlers.record
        await isolate(connection, records, work, _fail)


async def _fail(_: Connection, __: Record, error: Exception) -> None:
    raise error


def whole_response(outage: Outage) -> list[Event]:
    """From the first signal to the resolution: two people are paged, the second acknowledges."""
    return [
        outage.reported(),
        outage.triaged(),
        outage.started(),
        outage.escalated(0.03, 1, "ana"),
        outage.paged(0.05, "ana"),
        outage.escalated(1.5, 2, "ben"),
        outage.paged(1.6, "ben", step=2),
        outage.acknowledged(2, "Ben"),
        outage.cleared(29),
        outage.resolved(30),
    ]
