"""Topics of escalation."""

from shared.events import commands, escalation, operations, rejections, triage
from shared.kafka.topics import REDRIVE

TOPICS_IN = (triage.TOPIC, commands.TOPIC, REDRIVE)
TOPICS_OUT = (escalation.TOPIC, rejections.DEAD_LETTERS, operations.TOPIC)
