"""Every event type, its topic and model, and which service reads and writes which topics."""

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import BaseModel

import shared.kafka.topics  # noqa: F401 - registers every fact
from services.intake.signals.domain import KINDS
from shared.events import commands, escalation, intake, rejections, reporting, triage
from shared.events.facts import Fact
from shared.kafka.topics import REDRIVE, SIGNALS

COMMANDS: Mapping[str, type[commands.Command]] = {
    c.type: c for c in commands.Command.__subclasses__()
}
FACTS: Mapping[str, type[Fact]] = dict(sorted(Fact.registry.items()))


@dataclass(frozen=True, slots=True)
class EventType:
    """A CloudEvents type. `written`: Tocsin writes it; otherwise others send it to Tocsin."""

    name: str
    topic: str
    model: type[BaseModel]
    written: bool


EVENTS = (
    *(EventType(name, SIGNALS, model, written=False) for name, model in KINDS.items()),
    *(EventType(name, commands.TOPIC, model, written=False) for name, model in COMMANDS.items()),
    *(EventType(name, fact.topic, fact, written=True) for name, fact in FACTS.items()),
)

SERVICES: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "intake": (
        (SIGNALS, escalation.TOPIC, REDRIVE),
        (intake.TOPIC, rejections.REJECTIONS, rejections.DEAD_LETTERS),
    ),
    "triage": ((intake.TOPIC, REDRIVE), (triage.TOPIC, rejections.DEAD_LETTERS)),
    "escalation": (
        (triage.TOPIC, commands.TOPIC, REDRIVE),
        (escalation.TOPIC, rejections.DEAD_LETTERS),
    ),
    "reporting": (
        (
            SIGNALS,
            intake.TOPIC,
            triage.TOPIC,
            escalation.TOPIC,
            commands.TOPIC,
            rejections.REJECTIONS,
            rejections.DEAD_LETTERS,
            REDRIVE,
        ),
        (reporting.TOPIC, rejections.DEAD_LETTERS),
    ),
}
"""Topics in and topics out by service; a test compares them with the service's docstring."""
