"""Facts about signals that open no incident: requests and changes are logged, and what cannot be
read is rejected.
"""

from collections.abc import Callable
from typing import Any

from services.intake.signals.domain.data import ChangeData, RequestData
from services.intake.signals.domain.signal import Signal
from shared.events.cloudevents import CloudEvent, Malformed
from shared.events.facts import Event, new_event
from shared.events.ids import derived_id
from shared.events.intake import Change, ChangeRecorded, RequestLogged, ServiceRequest
from shared.events.rejections import SignalRejected
from shared.kafka.record import Record


def logged(signal: Signal) -> RequestLogged | ChangeRecorded:
    """The fact of a service request or a change."""
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
        case _:
            raise TypeError("an alert is about an incident")


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
