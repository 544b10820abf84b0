"""A Kafka message that waits in the outbox, as plain data."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class OutboxMessage:
    """One Kafka message: `topic` without prefix, `headers` as text; `value` None is a tombstone."""

    topic: str
    key: bytes
    value: bytes | None
    headers: Mapping[str, str] = field(default_factory=dict)
