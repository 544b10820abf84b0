"""intake.yaml: how intake treats what senders leave open. The file may be missing; every key has a
default.
"""

from datetime import timedelta
from pathlib import Path

from pydantic import Field

from services.intake.signals.policy import SignalPolicy
from shared.events.intake import Severity
from shared.policy.files import Duration, PolicyError, PolicyFile, check_file, read_policy

FILE = "intake.yaml"


class IntakePolicy(SignalPolicy):
    """The whole file."""

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
