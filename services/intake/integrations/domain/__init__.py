"""Integrations and their keys: who may send, through which gateway, how much."""

from services.intake.integrations.domain.bucket import Bucket
from services.intake.integrations.domain.integration import (
    Grouping,
    Integration,
    Settings,
    check_name,
)
from services.intake.integrations.domain.key import StoredKey, new_key, split_key

__all__ = [
    "Bucket",
    "Grouping",
    "Integration",
    "Settings",
    "StoredKey",
    "check_name",
    "new_key",
    "split_key",
]
