"""Facts about signals that open no incident: requests, changes and advisories are logged, and
what cannot be read is rejected.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import orjson

from services.intake.signals.domain.data import AdvisoryData, ChangeData, RequestData
from services.intake.signals.domain.redaction import Redactor
from services.intake.signals.domain.signal import Signal
from shared.events.cloudevents import CloudEvent, Malformed
from shared.events.facts import Event, new_event
from shared.events.ids import derived_id
from shared.events.intake import (
    Advisory,
    AdvisoryRecorded,
    Change,
    ChangeRecorded,
    RequestLogged,
    ServiceRequest,
)
from shared.events.rejections import SignalRejected
from shared.kafka.record import Record


def logged(signal: Signal) -> RequestLogged | ChangeRecorded | AdvisoryRecorded:
    """The fact of a service request, a change or an advisory."""
    data = signal.data
    common: dict[str, Any] = {"source": signal.origin, "received_at": signal.received_at}
    match data:
        case ChangeData():
            change = Change(
                change_id=signal.subject, made_at=signal.sent_at, **common, **data.model_dump()
            )
            return ChangeRecorded(change=change)
        case RequestData():
            request = ServiceRequest(request_id=signal.subject, **common, **data.model_dump())
            return RequestLogged(request=request)
        case AdvisoryData():
            advisory = Advisory(advisory_id=signal.subject, **common, **data.model_dump())
            return AdvisoryRecorded(advisory=advisory)
        case _:
            raise TypeError("alerts and beats are about something else")


def cleansed(record: Record, reason: str, rules: Redactor) -> tuple[Record, str]:
    """A record of the topic of signals, and why it failed, without what must not be kept. What
    identifies it stays, so that it is the same signal when it is given back.
    """
    headers = tuple(
        (name, value if _is_envelope(name) else _cleansed_header(name, value, rules))
        for name, value in record.headers
    )
    value = None if record.value is None else _cleansed_value(record.value, rules)
    return replace(record, value=value, headers=headers), rules.text(reason)


def _is_envelope(header: str) -> bool:
    return header.lower().startswith(("ce_", "trace", "content-type"))


def _cleansed_header(name: str, value: bytes, rules: Redactor) -> bytes:
    clean: str = rules.document({name: value.decode("latin-1")}).popitem()[1]
    return clean.encode("latin-1")


def _cleansed_value(value: bytes, rules: Redactor) -> bytes:
    try:
        document = orjson.loads(value)
    except orjson.JSONDecodeError:
        # Whatever it is: no rule needs more than ASCII, and the other bytes stay as they are.
        return rules.text(value.decode("latin-1")).encode("latin-1")
    if isinstance(document, dict) and "specversion" in document:
        clean = document | {"data": rules.document(document.get("data"))}
    else:
        clean = rules.document(document)
    return value if clean == document else orjson.dumps(clean)


def rejection(
    record: Record,
    event: CloudEvent | None,
    error: Malformed,
    redact: Callable[[str], str] = lambda text: text,
) -> Event:
    """The answer to a publisher's record on the topic; `event` is None where not even the envelope
    could be read. `redact` takes out of its texts what must not be kept.
    """
    fact = SignalRejected(
        field=redact(error.field),
        reason=redact(error.reason),
        source=event.source if event else None,
        signal_id=event.id if event else None,
        partition=record.partition,
        offset=record.offset,
    )
    origin = f"{record.topic}/{record.partition}"
    subject = derived_id(origin, str(record.offset), "rejection")
    return new_event(subject, 1, record.timestamp, fact, event.trace if event else None)
