"""Commands that other systems send, topic `tocsin.commands.v1`, keyed by incident id."""

from typing import ClassVar
from uuid import UUID

from pydantic import Field

from shared.events.facts import Model

TOPIC = "tocsin.commands.v1"


class Command(Model):
    """An order to act on an incident. `by` is who gives it, as shown in the timeline."""

    type: ClassVar[str]
    incident_id: UUID
    by: str = Field(min_length=1, max_length=200)
    note: str | None = Field(default=None, max_length=2000)


class AcknowledgeIncident(Command):
    """Take the incident: paging stops."""

    type: ClassVar[str] = "tocsin.commands.AcknowledgeIncident"


class ResolveIncident(Command):
    """End the response."""

    type: ClassVar[str] = "tocsin.commands.ResolveIncident"
