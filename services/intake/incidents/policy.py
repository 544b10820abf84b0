"""intake.yaml: what becomes of alerts. The file may be missing; every key has a default."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import Field

from services.intake.signals.policy import SignalPolicy
from shared.events.intake import Severity
from shared.policy.files import (
    Duration,
    PolicyError,
    PolicyFile,
    PolicyModel,
    check_file,
    read_policy,
)

FILE = "intake.yaml"


Delay = Annotated[Duration, Field(ge=timedelta(0), le=timedelta(days=1))]
Span = Annotated[Duration, Field(ge=timedelta(minutes=1), le=timedelta(days=90))]


class Rule(PolicyModel):
    """How the alerts that it matches become incidents. The first rule that matches decides."""

    integration: str | None = None
    match: dict[str, str] = {}
    """Labels, and `service`, that an alert must have."""
    identify_by: list[str] = Field(default=[], max_length=20)
    """Labels (or `service`) that say which alert this is, in place of the sender's key. An alert
    that has none of them keeps the sender's: its end must carry them, too.
    """
    group_by: list[str] = Field(default=[], max_length=20)
    """Alerts of an integration that agree in these labels (or `service`) are one incident. An alert
    that has none of them is treated as if the list were empty: as its sender groups it.
    """
    window: Span | None = None
    """For how long an incident takes more alerts after it opened; others open the next."""
    max_alerts: Annotated[int, Field(ge=1, le=100_000)] | None = None
    """How many alerts an incident takes."""
    expire_after: Span | None = None
    """An alert that was not sent again for so long counts as ended. For senders that repeat what
    fires, and for those that never say "resolved".
    """
    open_after: Delay = timedelta(0)
    """An incident is reported when it has fired for so long."""
    clear_after: Delay = timedelta(0)
    """An incident clears when nothing of it has fired for so long."""


class Flapping(PolicyModel):
    """When incidents of one fingerprint begin too often, the newest is held open until calm."""

    episodes: int = Field(default=5, ge=2, le=50)
    within: Span = timedelta(minutes=30)
    calm: Span = timedelta(minutes=15)


class Storm(PolicyModel):
    """Of a service that has too many open incidents, further alerts are gathered in one incident.
    Its owner is warned at three quarters.
    """

    open_incidents: int = Field(default=1_000, ge=4, le=1_000_000)
    calm: Span = timedelta(minutes=15)


class IntakePolicy(SignalPolicy):
    """The whole file."""

    rules: list[Rule] = Field(default=[], max_length=200)
    flapping: Flapping | None = Flapping()
    storm: Storm | None = Storm()

    expiry_grace: Duration = Field(
        default=timedelta(minutes=2), ge=timedelta(0), le=timedelta(days=1)
    )
    """How long after its announced end an alert that was not sent again counts as ended."""
    unlisted_timeout: Duration = Field(
        default=timedelta(hours=5), ge=timedelta(minutes=1), le=timedelta(days=7)
    )
    """How long unlisted alerts of a notification count as firing when all listed ones are resolved
    and the state of the others is unknown. Must exceed Alertmanager's repeat_interval.
    """
    never_resolved_expire_after: Span = timedelta(hours=24)
    """An alert of an integration that never sends "resolved" counts as ended when it was not sent
    again for so long, unless a rule or the integration says otherwise.
    """
    default_severity: Severity = Severity.ERROR
    """Of signals whose severity is absent or unknown."""
    update_interval: Duration = Field(
        default=timedelta(seconds=10), ge=timedelta(0), le=timedelta(hours=1)
    )
    """In a storm, one IncidentUpdated stands for all signals of this time."""
    duplicate_window: Duration = Field(
        default=timedelta(days=7), ge=timedelta(hours=1), le=timedelta(days=90)
    )
    """How long a repeat of a signal's (source, id) is recognised."""


def read_intake_policy(data: bytes) -> PolicyFile[IntakePolicy]:
    """intake.yaml, checked; an empty file is the defaults. Raises InvalidPolicy with all errors."""
    return read_policy(FILE, data, IntakePolicy)


def check(directory: Path) -> list[PolicyError]:
    """All errors of intake.yaml in a policy folder; none when there is no such file."""
    file = directory / FILE
    return check_file(file, read_intake_policy) if file.exists() else []
