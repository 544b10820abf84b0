"""Every event type, its topic and model, and which service reads and writes which topics."""

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import BaseModel

import shared.kafka.topics  # noqa: F401 - registers every fact
from services.intake.signals.domain import KINDS
from shared.events import commands
from shared.events.facts import Fact
from shared.kafka.access.declarations import declared_topics
from shared.kafka.topics import SIGNALS

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
    declared.service: (declared.topics_in, declared.topics_out) for declared in declared_topics()
}
"""Topics in and topics out by service; a test compares them with the service's docstring."""
