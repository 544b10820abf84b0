"""CloudEvents 1.0 over HTTP: structured, binary (`ce-` headers) or a batch."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import reduce
from operator import or_
from typing import Annotated, Any, Literal
from uuid import UUID

import orjson
from pydantic import BaseModel, ConfigDict, Field, create_model

from services.intake.gateways.gateway import Answer, Body, Gateway, Parameter, Route, Submission
from services.intake.signals.domain import KINDS, Decision, Identity, Signal, Taken, read_signal
from shared.events.cloudevents import (
    MAX_EVENT_BYTES,
    CloudEvent,
    Malformed,
    binary_attributes,
    from_binary,
    from_structured,
    load_json,
)
from shared.http.app import Problem

MAX_BATCH_BYTES = 8 * 1024 * 1024
MAX_BATCH = 10_000
_STRUCTURED = "application/cloudevents+json"
_BATCH = "application/cloudevents-batch+json"
_JSON = "application/json"
_ATTRIBUTES = ("specversion", "id", "source", "type", "time", "traceparent")

Attribute = Annotated[str, Field(min_length=1, max_length=1024)]


Extension = Annotated[str, Field(max_length=1024)] | bool | int | None


class _Envelope(BaseModel):
    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Extension]

    specversion: Literal["1.0"]
    id: Attribute
    source: Attribute
    time: datetime | None = None
    traceparent: str | None = Field(default=None, description="W3C Trace Context")


def _event(kind: str, data: type[BaseModel]) -> type[BaseModel]:
    """An event of one type, as OpenAPI describes it; what is sent is read by `read_signal`."""
    fields: dict[str, Any] = {"type": (Literal[kind], ...), "data": (data, ...)}
    return create_model(kind.rpartition(".")[2], __base__=_Envelope, **fields)


_DATA: Any = reduce(or_, KINDS.values())
_EVENTS: Any = reduce(or_, (_event(kind, data) for kind, data in KINDS.items()))
AnyEvent = Annotated[_EVENTS, Field(discriminator="type")]


# Not an enumeration: other decisions may come.
_EXAMPLES = [decision.value for decision in Decision if decision is not Decision.REJECTED]


class TakenSignal(BaseModel):
    """The decision about one signal."""

    id: str = Field(description="the event's own")
    decision: str = Field(examples=_EXAMPLES)
    subject: UUID | None = Field(
        description="the incident, request or change that it went into; "
        "null for a repeat, and where nothing was open"
    )


class AcceptedSignals(BaseModel):
    """All signals of a request are committed."""

    accepted: int = Field(description="how many signals are committed")
    signals: list[TakenSignal]


def read_events(submission: Submission) -> list[Signal]:
    """The signals of one request."""
    if submission.content_type == _BATCH:
        return _read_batch(submission)
    if submission.content_type != _STRUCTURED:
        attributes = binary_attributes(submission.headers)
        if "specversion" in attributes:
            event = from_binary(attributes, submission.body, submission.trace)
            return [_signal(submission, event)]
    # Plain JSON, or no content type: a body with a `specversion` is a structured event.
    if submission.content_type in (_STRUCTURED, _JSON, ""):
        document = load_json(submission.body)
        if submission.content_type == _STRUCTURED or _is_event(document):
            return [_signal(submission, from_structured(document, submission.trace))]
    known = f"Content-Type: send {_STRUCTURED}, {_BATCH}, or {_JSON} with ce- headers"
    raise Problem(415, "Unsupported content type", known, field="Content-Type")


def _is_event(document: Any) -> bool:
    return isinstance(document, dict) and "specversion" in document


def _read_batch(submission: Submission) -> list[Signal]:
    documents = load_json(submission.body, "body", MAX_BATCH_BYTES)
    if not isinstance(documents, list) or not 0 < len(documents) <= MAX_BATCH:
        raise Malformed("body", f"must be a JSON array of 1 to {MAX_BATCH} CloudEvents")
    return [_read_one(submission, one, f"[{place}]") for place, one in enumerate(documents)]


def _read_one(submission: Submission, document: Any, where: str) -> Signal:
    try:
        size = len(orjson.dumps(document))
    except orjson.JSONEncodeError:
        raise Malformed(where, "is nested too deeply") from None
    if size > MAX_EVENT_BYTES:
        raise Malformed(where, f"is {size} bytes; at most {MAX_EVENT_BYTES} are taken")
    event = from_structured(document, submission.trace, f"{where}.")
    return _signal(submission, event, f"{where}.")


def _signal(submission: Submission, event: CloudEvent, where: str = "") -> Signal:
    return read_signal(event, submission.integration.name, submission.received_at, where)


def _render(signals: Sequence[Signal], taken: Mapping[Identity, Taken]) -> dict[str, Any]:
    results = [
        {
            "id": signal.signal_id,
            "decision": taken[signal.identity].decision,
            "subject": taken[signal.identity].subject,
        }
        for signal in signals
    ]
    return {"accepted": len(signals), "signals": results}


GATEWAY = Gateway(
    "cloudevents",
    [
        Route(
            path="/v1/signals",
            summary="CloudEvents: structured, binary (`ce-` headers, the data as the body) or a "
            "batch.",
            bodies=[
                Body(_STRUCTURED, AnyEvent, MAX_EVENT_BYTES),
                Body(
                    _BATCH,
                    Annotated[list[AnyEvent], Field(min_length=1, max_length=MAX_BATCH)],
                    MAX_BATCH_BYTES,
                ),
                Body(_JSON, _DATA, MAX_EVENT_BYTES),
            ],
            read=read_events,
            answer=Answer(202, AcceptedSignals, _render),
            parameters=[Parameter(f"ce-{name}", "binary mode", Attribute) for name in _ATTRIBUTES],
        )
    ],
)
