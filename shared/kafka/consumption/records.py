"""Kafka's records as plain values. Reading never raises."""

from datetime import UTC, datetime, timedelta
from typing import Any

from shared.kafka.record import Record

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def read_record(raw: Any, topic: str) -> Record:
    """aiokafka's ConsumerRecord under the topic's name without prefix, its bytes as they came."""
    return Record(
        topic=topic,
        partition=raw.partition,
        offset=raw.offset,
        timestamp=_moment(raw.timestamp),
        key=raw.key,
        value=raw.value,
        headers=tuple([(name, value or b"") for name, value in raw.headers]),
    )


def _moment(milliseconds: int) -> datetime:
    try:
        return _EPOCH + timedelta(milliseconds=milliseconds)
    except OverflowError:  # a publisher may claim any time
        return _EPOCH
