"""Dead letters: what a service could not process, published through its own outbox."""

import base64
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from shared.events.facts import event_message, new_event
from shared.events.ids import derived_id, uuid7
from shared.events.message import OutboxMessage
from shared.events.rejections import MessageDeadLettered
from shared.events.trace_context import TraceContext
from shared.kafka.handler import Cleanse
from shared.kafka.record import Record, trace_of
from shared.kafka.redrive import as_it_was
from shared.telemetry import measure
from shared.telemetry.metrics import DEAD_LETTERS

_MAX_REASON = 2000
# In base64 and with an envelope it must still be a message that the broker takes.
_MAX_BYTES = 512 * 1024


def reason_of(error: Exception) -> str:
    """Type and text of an error, within bounds and in characters that JSON can carry."""
    return f"{type(error).__qualname__}: {error}"[:_MAX_REASON].encode(errors="replace").decode()


def count_from(origin: str) -> None:
    """Begin the count of an origin at 0: for Prometheus a series that begins at 1 has not risen."""
    measure(DEAD_LETTERS, 0, origin)


def dead_letter(
    service: str,
    reason: str,
    origin: str,
    now: datetime,
    trace: TraceContext | None = None,
    *,
    subject: UUID | None = None,
    **fields: Any,
) -> OutboxMessage:
    """A dead letter, and one more in the count of its origin. `fields` are the fact's others.

    The same thing has the same `subject` each time that it fails; without one it is a new thing.
    """
    measure(DEAD_LETTERS, 1, origin.partition(" ")[0])
    fact = MessageDeadLettered(service=service, reason=reason, origin=origin, **fields)
    sequence = 1 if subject is None else 0
    return event_message(new_event(subject or uuid7(), sequence, now, fact, trace))


def dead_letter_for_record(
    record: Record, error: Exception, service: str, now: datetime, cleanse: Cleanse | None = None
) -> OutboxMessage:
    """The dead letter of a record that `service` failed on, with its exact bytes unless they are
    too many, or hold what `cleanse` takes out. A redriven record has the subject that it had
    before.
    """
    record, reason = as_it_was(record), reason_of(error)
    if cleanse is not None:
        record, reason = cleanse(record, reason)
    if (size := _size(record)) > _MAX_BYTES:
        reason += f" (its {size} bytes are left out: read them at the offset)"
        record = replace(record, key=None, value=None, headers=())
    name = f"{service}/{record.topic}/{record.partition}"
    return dead_letter(
        service,
        reason,
        record.topic,
        now,
        trace_of(record),
        subject=derived_id(name, str(record.offset), "dead letter"),
        partition=record.partition,
        offset=record.offset,
        key=_encoded(record.key),
        value=_encoded(record.value),
        headers=[(name, _encoded(value)) for name, value in record.headers],
    )


def _size(record: Record) -> int:
    headers = sum(len(name) + len(value) for name, value in record.headers)
    return len(record.key or b"") + len(record.value or b"") + headers


def _encoded(data: bytes | None) -> str | None:
    return None if data is None else base64.b64encode(data).decode()
