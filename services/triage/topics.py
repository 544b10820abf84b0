"""Topics of triage."""

from shared.events import intake, operations, rejections, triage
from shared.kafka.topics import REDRIVE

TOPICS_IN = (intake.TOPIC, REDRIVE)
TOPICS_OUT = (triage.TOPIC, rejections.DEAD_LETTERS, operations.TOPIC)
