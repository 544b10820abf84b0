"""Topics of reporting."""

from shared.events import commands, escalation, intake, operations, rejections, reporting, triage
from shared.kafka.topics import REDRIVE, SIGNALS

RECORDED = (
    SIGNALS,
    commands.TOPIC,
    rejections.REJECTIONS,
    rejections.DEAD_LETTERS,
    operations.TOPIC,
)
"""Topics of which the audit log has the records, and nothing else is kept."""

PROJECTED = (intake.TOPIC, triage.TOPIC, escalation.TOPIC)
"""Topics whose facts also make states and timelines."""

TOPICS_IN = (*RECORDED, *PROJECTED, REDRIVE)
TOPICS_OUT = (reporting.TOPIC, rejections.DEAD_LETTERS, operations.TOPIC)
FENCED = True
"""Publishes in Kafka transactions, since the last record of a key counts for good on
`tocsin.incidents.v1`.
"""
