"""Topics in memory, with a position of each reader in each topic, as its offset rows would have."""

from collections import defaultdict
from datetime import UTC, datetime

from shared.events import escalation, intake, triage
from shared.events.facts import Event, event_message, read_fact
from shared.kafka.record import Record

READS = {
    "intake": [escalation.TOPIC],
    "triage": [intake.TOPIC],
    "escalation": [triage.TOPIC],
    "reporting": [intake.TOPIC, triage.TOPIC, escalation.TOPIC],
}
START = datetime(2024, 10, 25, 12, tzinfo=UTC)  # a Friday; the clocks change on Sunday


class Bus:
    """Keeps everything that was published, serialised and parsed as on the wire."""

    def __init__(self) -> None:
        self.topics: dict[str, list[Event]] = {topic: [] for topic in READS["reporting"]}
        self.positions: dict[tuple[str, str], int] = defaultdict(int)

    def publish(self, event: Event) -> None:
        message = event_message(event)
        topic = self.topics[message.topic]
        headers = tuple((name, value.encode()) for name, value in message.headers.items())
        read = read_fact(
            Record(message.topic, 0, len(topic), event.time, message.key, message.value, headers)
        )
        assert read == event, "an event is read as it was written"
        topic.append(event)

    def take(self, reader: str, topic: str, count: int) -> list[Event]:
        """The reader's next events; its position advances."""
        position = self.positions[reader, topic]
        events = self.topics[topic][position : position + count]
        self.positions[reader, topic] += len(events)
        return events

    def read_before(self, reader: str, topic: str) -> list[Event]:
        """Events that the reader has already read: after a lost offset, any of them may come
        again.
        """
        return self.topics[topic][: self.positions[reader, topic]]

    def waiting(self, reader: str, topic: str) -> int:
        return len(self.topics[topic]) - self.positions[reader, topic]
