"""Topics of intake."""

from shared.events import escalation, intake, operations, rejections
from shared.kafka.topics import REDRIVE, SIGNALS

TOPICS_IN = (SIGNALS, escalation.TOPIC, REDRIVE)
TOPICS_OUT = (intake.TOPIC, rejections.REJECTIONS, rejections.DEAD_LETTERS, operations.TOPIC)
