"""heartbeats.yaml: the heartbeats that are expected, by name. The file may be missing.

What is in it cannot be changed in another way; what is taken out of it is deleted.
"""

from pathlib import Path

from pydantic import Field

from services.intake.signals.domain import HeartbeatName, HeartbeatSettings
from shared.policy.files import PolicyError, PolicyFile, PolicyModel, check_file, read_policy

FILE = "heartbeats.yaml"


class HeartbeatsPolicy(PolicyModel):
    """The whole file."""

    heartbeats: dict[HeartbeatName, HeartbeatSettings] = Field(
        default_factory=dict, max_length=10_000
    )


def read_heartbeats(data: bytes) -> PolicyFile[HeartbeatsPolicy]:
    """heartbeats.yaml, checked. Raises InvalidPolicy with all errors."""
    return read_policy(FILE, data, HeartbeatsPolicy)


def check(directory: Path) -> list[PolicyError]:
    """All errors of heartbeats.yaml in a policy folder; none when there is no such file."""
    file = directory / FILE
    return check_file(file, read_heartbeats) if file.exists() else []
