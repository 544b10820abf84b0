"""Topics in memory: each reader is at its own place of each topic, as its offset rows would have
it.
"""

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
    """What was published stays, as after a trip over the wire."""

    def __init__(self) -> None:
        self.topics: dict[str, list[Event]] = {topic: [] for topic in READS["reporting"]}
        self.places: dict[tuple[str, str], int] = defaultdict(int)

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
        """The reader's next events, of which it is told once."""
        place = self.places[reader, topic]
        events = self.topics[topic][place : place + count]
        self.places[reader, topic] += len(events)
        return events

    def read_before(self, reader: str, topic: str) -> list[Event]:
        """What the reader has been told: a lost offset brings any of it again."""
        return self.topics[topic][: self.places[reader, topic]]

    def waiting(self, reader: str, topic: str) -> int:
        return len(self.topics[topic]) - self.places[reader, topic]
