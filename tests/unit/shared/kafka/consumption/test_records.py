"""Kafka's records as plain values."""

from dataclasses import dataclass
from typing import Any

import pytest

from shared.kafka.consumption.records import read_record


@dataclass
class Raw:
    """What aiokafka hands out."""

    timestamp: int = 0
    headers: tuple[tuple[str, bytes | None], ...] = ()
    partition: int = 0
    offset: int = 0
    key: bytes | None = None
    value: bytes | None = None


@pytest.mark.parametrize("timestamp", [-1, 0, 2**62, -(2**62)])
def test_reading_a_record_never_raises(timestamp: int) -> None:
    raw: Any = Raw(timestamp, (("a", None), ("a", b"\xff")))

    read = read_record(raw, "things")

    assert read.headers == (("a", b""), ("a", b"\xff"))
    assert read.timestamp.year in (1969, 1970)
