"""An incident's history: one entry per event."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from services.reporting.timeline.domain.wording import describe
from shared.events.cloudevents import CloudEvent
from shared.events.facts import Event
from shared.events.text import shorten
from shared.events.trace_context import TraceContext

_MAX_TITLE = 300
_STATES = ("incident", "triage", "response")
"""Fields of a fact's data that hold an incident's state."""


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """`title` says what happened; `detail` has texts, numbers and lists of texts by name."""

    incident_id: UUID
    producer: str
    sequence: int
    at: datetime
    type: str
    title: str
    detail: Mapping[str, Any]
    trace_id: str | None
    span_id: str | None


def make_entry(event: Event) -> TimelineEntry:
    """The entry of an event that carries an incident's state."""
    _, producer, kind = event.type.split(".")
    title, detail = describe(event.data)
    trace_id, span_id = _ids(event.trace)
    return TimelineEntry(
        incident_id=event.subject,
        producer=producer,
        sequence=event.sequence,
        at=event.time,
        type=kind,
        title=shorten(title, _MAX_TITLE),
        detail={name: value for name, value in detail.items() if value},
        trace_id=trace_id,
        span_id=span_id,
    )


def make_unknown_entry(envelope: CloudEvent, received_at: datetime) -> TimelineEntry | None:
    """The entry of a fact that a newer service sends and this version does not know: its name. None
    if it is not about an incident.
    """
    match envelope.type.split("."):
        case ["tocsin", producer, kind] if _is_about_incident(envelope.data):
            pass
        case _:
            return None
    try:
        incident_id = UUID(envelope.subject or "")
        sequence = int(envelope.extensions.get("sequence", ""))
    except ValueError:
        return None
    at, (trace_id, span_id) = envelope.time or received_at, _ids(envelope.trace)
    title = shorten(kind, _MAX_TITLE)
    return TimelineEntry(incident_id, producer, sequence, at, kind, title, {}, trace_id, span_id)


def _is_about_incident(data: Any) -> bool:
    return isinstance(data, dict) and any(isinstance(data.get(name), dict) for name in _STATES)


def _ids(trace: TraceContext | None) -> tuple[str | None, str | None]:
    return (trace.trace_id, trace.traceparent.split("-")[2]) if trace else (None, None)
