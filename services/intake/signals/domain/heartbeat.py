"""A heartbeat as intake knows it: a sign of life that is expected every so often."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, Field, StringConstraints

from services.intake.signals.domain.data import Labels, Links, LongText, Name, Text, without_nul
from shared.events.intake import Severity
from shared.policy.files import Duration, PolicyModel

HeartbeatName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=200, strip_whitespace=True),
    AfterValidator(without_nul),
]
ManagedBy = Literal["policy", "operator", "sender"]


class HeartbeatSettings(PolicyModel):
    """How often it beats, and what the incident says when it does not."""

    every: Duration = Field(ge=timedelta(seconds=1), le=timedelta(days=400))
    """The longest time between two beats."""
    grace: Duration = Field(default=timedelta(minutes=1), ge=timedelta(0), le=timedelta(days=31))
    """How late a beat may be."""
    enabled: bool = True
    """One that is not enabled is never missed."""
    summary: Text | None = None
    """Of its incident; default: that the heartbeat was missed."""
    description: LongText | None = None
    severity: Severity | None = None
    """Default: the policy's."""
    service: Name | None = None
    labels: Labels = Field(default_factory=dict)
    links: Links = Field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A heartbeat and its state; the migration of the table `heartbeats` documents the fields."""

    heartbeat_id: UUID
    name: str
    managed_by: ManagedBy
    settings: HeartbeatSettings
    created_at: datetime
    last_beat_at: datetime | None = None
    due_at: datetime | None = None
    missed_at: datetime | None = None
    extended: bool = False
    removed: bool = False
    armed_at: datetime | None = None

    @property
    def status(self) -> Literal["disabled", "missed", "beating", "new"]:
        """`new`: it has never beaten, and is not missed yet."""
        if not self.settings.enabled:
            return "disabled"
        if self.missed_at is not None:
            return "missed"
        return "beating" if self.last_beat_at else "new"


class HeartbeatRefused(Exception):
    """A heartbeat may not be changed so; the text says why, and where it can be."""
