"""Facts about signals that open no incident: requests, changes and advisories are logged, and
what cannot be read is rejected.
"""

from typing import Any

from services.intake.signals.domain.data import AdvisoryData, ChangeData, RequestData
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


def rejection(record: Record, event: CloudEvent | None, error: Malformed) -> Event:
    """The answer to a publisher's record on the topic; `event` is None where not even the envelope
    could be read.
    """
    fact = SignalRejected(
        field=error.field,
        reason=error.reason,
        source=event.source if event else None,
        signal_id=event.id if event else None,
        partition=record.partition,
        offset=record.offset,
    )
    origin = f"{record.topic}/{record.partition}"
    subject = derived_id(origin, str(record.offset), "rejection")
    return new_event(subject, 1, record.timestamp, fact, event.trace if event else None)
