"""The topics, declared once and created by `tocsin topics apply`, never by a first message."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from shared.events import commands, escalation, intake, operations, rejections, reporting, triage

SIGNALS = "tocsin.signals.v1"
REDRIVE = "tocsin.redrive.v1"
_SEGMENT = timedelta(hours=12)


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic's shape. Without `retention` it is compacted to the newest record of each key. With
    it a record goes half a day late at most: Kafka deletes whole segments.
    """

    name: str
    partitions: int = 6
    retention: timedelta | None = timedelta(days=30)

    @property
    def configuration(self) -> dict[str, str]:
        """Kafka's topic configuration."""
        if self.retention is None:
            return {"cleanup.policy": "compact"}
        return {
            "cleanup.policy": "delete",
            "retention.ms": _milliseconds(self.retention),
            "segment.ms": _milliseconds(_SEGMENT),
        }


def _milliseconds(span: timedelta) -> str:
    return str(span // timedelta(milliseconds=1))


TOPICS = (
    Topic(SIGNALS, retention=timedelta(days=7)),
    Topic(intake.TOPIC),
    Topic(triage.TOPIC),
    Topic(escalation.TOPIC),
    Topic(commands.TOPIC, partitions=3, retention=timedelta(days=7)),
    Topic(reporting.TOPIC, retention=None),
    Topic(rejections.REJECTIONS, partitions=1),
    Topic(rejections.DEAD_LETTERS, partitions=1),
    Topic(operations.TOPIC, partitions=1),
    Topic(REDRIVE, partitions=1),
)
"""With the retention that holds unless retention.yaml sets another."""


def kept_for(periods: Mapping[str, timedelta]) -> tuple[Topic, ...]:
    """All topics, some with another retention, by name."""
    return tuple(
        replace(topic, retention=periods.get(topic.name, topic.retention)) for topic in TOPICS
    )
