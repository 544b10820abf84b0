"""One record as it was read from Kafka, before anything is believed of it."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Record:
    """`topic` is without prefix; header values are bytes as they came; `timestamp` is the broker's,
    in UTC.
    """

    topic: str
    partition: int
    offset: int
    timestamp: datetime
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()
