"""Kafka's records as plain values, and those nobody could work on as dead letters. Reading never
raises.
"""

import base64
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.events.facts import event_message, new_event
from shared.events.ids import derived_id
from shared.events.message import OutboxMessage
from shared.events.rejections import MessageDeadLettered
from shared.events.trace_context import TraceContext, parse_trace
from shared.kafka.dead_letters.writing import reason_of
from shared.kafka.record import Record
from shared.kafka.redrive import as_it_was
from shared.telemetry import measure
from shared.telemetry.metrics import DEAD_LETTERS

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_LINKS = 128
_MAX_BYTES = (
    512 * 1024
)  # in base64 and with an envelope it must still be a message that the broker takes


def read_record(raw: Any, topic: str) -> Record:
    """aiokafka's ConsumerRecord under the topic's name without prefix; its bytes are kept as they
    came.
    """
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


def trace_of(record: Record) -> TraceContext | None:
    """Where the publisher stood, by the record's headers."""
    for name, value in record.headers:
        if name.lower() == "traceparent":
            return parse_trace(value.decode("ascii", errors="replace"))
    return None


def links_of(records: Sequence[Record]) -> list[TraceContext]:
    """The different contexts among the records, as many as a span takes."""
    return list(
        dict.fromkeys(trace for record in records[:_MAX_LINKS] if (trace := trace_of(record)))
    )


def dead_letter(record: Record, error: Exception, service: str, now: datetime) -> OutboxMessage:
    """The message that tells operators of a record that `service` could not work on, with its exact
    bytes.

    The same record has the same letter each time that it fails, also after it was given back. It is
    counted.
    """
    record = as_it_was(record)
    measure(DEAD_LETTERS, 1, record.topic)
    reason = reason_of(error)
    if _size(record) > _MAX_BYTES:
        reason += f" (its {_size(record)} bytes are left out: read them at the offset)"
        record = replace(record, key=None, value=None, headers=())
    letter = MessageDeadLettered(
        service=service,
        reason=reason,
        origin=record.topic,
        partition=record.partition,
        offset=record.offset,
        key=_text(record.key),
        value=_text(record.value),
        headers=[(name, base64.b64encode(value).decode()) for name, value in record.headers],
    )
    subject = derived_id(
        f"{service}/{record.topic}/{record.partition}", str(record.offset), "dead letter"
    )
    return event_message(new_event(subject, 0, now, letter, trace_of(record)))


def _size(record: Record) -> int:
    headers = sum(len(name) + len(value) for name, value in record.headers)
    return len(record.key or b"") + len(record.value or b"") + headers


def _text(data: bytes | None) -> str | None:
    return None if data is None else base64.b64encode(data).decode()
