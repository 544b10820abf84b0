"""CDEvents over HTTP: as CloudEvents, or bare. `/v1/signals` and the topic take them as CloudEvents
too; here, those that are no change and no alert are not refused, since brokers forward them all.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, Field

from services.intake.gateways.gateway import Answer, Body, Gateway, Route, Submission
from services.intake.signals.domain import Identity, Signal, Taken, read_signal
from services.intake.signals.domain.cdevents import PREFIX, is_taken
from shared.events.cloudevents import (
    MAX_EVENT_BYTES,
    CloudEvent,
    Malformed,
    binary_attributes,
    from_binary,
    from_structured,
    load_json,
)

MAX_BATCH_BYTES = 8 * 1024 * 1024
MAX_BATCH = 10_000
_BARE = {"id": "id", "source": "source", "type": "type", "time": "timestamp"}
_SCHEMA = {"type": "object", "description": "a CDEvent, or a CloudEvent with one as its data"}


class AcceptedEvents(BaseModel):
    """All changes and alerts of a request are committed."""

    accepted: int = Field(description="how many; other events are left out")


def read_events(submission: Submission) -> list[Signal]:
    """The signals of one request."""
    attributes = binary_attributes(submission.headers)
    if "specversion" in attributes:
        return _taken(submission, from_binary(attributes, submission.body, submission.trace))
    document = load_json(submission.body, "body", MAX_BATCH_BYTES)
    if not isinstance(document, list):
        return _taken(submission, _event(submission, document))
    if len(document) > MAX_BATCH:
        raise Malformed("body", f"must be at most {MAX_BATCH} events")
    return [
        signal
        for place, one in enumerate(document)
        for signal in _taken(submission, _event(submission, one, f"[{place}]."), f"[{place}].")
    ]


def _event(submission: Submission, document: Any, where: str = "") -> CloudEvent:
    """The event in a document that may lack the envelope of CloudEvents."""
    if not isinstance(document, dict) or "context" not in document:
        return from_structured(document, submission.trace, where)
    context = document["context"]
    if not isinstance(context, dict):
        raise Malformed(f"{where}context", "must be an object with names and values")
    envelope = {name: context[given] for name, given in _BARE.items() if given in context}
    envelope |= {"specversion": "1.0", "data": document}
    return from_structured(envelope, submission.trace, f"{where}context.")


def _taken(submission: Submission, event: CloudEvent, where: str = "") -> list[Signal]:
    if not event.type.startswith(PREFIX):
        raise Malformed(f"{where}type", f"`{event.type}` is no CDEvent: it begins with {PREFIX}")
    if not is_taken(event.type):
        return []
    return [read_signal(event, submission.integration.name, submission.received_at, where)]


def _render(signals: Sequence[Signal], _: Mapping[Identity, Taken]) -> dict[str, int]:
    return {"accepted": len(signals)}


GATEWAY = Gateway(
    "cdevents",
    [
        Route(
            path="/v1/cdevents",
            summary="CDEvents: services that were deployed, upgraded, rolled back, published or "
            "removed are changes; incidents are alerts.",
            bodies=[
                Body("application/json", _SCHEMA, MAX_EVENT_BYTES),
                Body("application/cloudevents+json", _SCHEMA, MAX_EVENT_BYTES),
                Body(
                    "application/cloudevents-batch+json",
                    {"type": "array", "items": _SCHEMA, "maxItems": MAX_BATCH},
                    MAX_BATCH_BYTES,
                ),
            ],
            read=read_events,
            answer=Answer(202, AcceptedEvents, _render),
        )
    ],
)
