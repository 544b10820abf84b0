"""Facts: the events that Tocsin's own services write, with the incident's sequence and trace in the
envelope.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from shared.events.cloudevents import CloudEvent, Malformed, from_record, to_structured, type_in
from shared.events.ids import uuid7
from shared.events.message import OutboxMessage
from shared.events.trace_context import TraceContext
from shared.events.validation import first_problem_in, plain_reason
from shared.kafka.record import Record

_EPOCH_SHIFT = 40


class Model(BaseModel):
    """A value of the contract: frozen; fields that a newer writer added are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Fact(Model):
    """What a service states in the past tense. `topic` is where it is written, `type` is the
    CloudEvents type.
    """

    topic: ClassVar[str]
    type: ClassVar[str]
    registry: ClassVar[dict[str, "FactClass"]] = {}

    def __init_subclass__(cls, topic: str = "", **options: Any) -> None:
        super().__init_subclass__(**options)
        if topic:
            producer = topic.split(".")[1]
            cls.topic = topic
            cls.type = f"tocsin.{producer}.{cls.__name__}"
            Fact.registry[cls.type] = cls


FactClass = type[Fact]


@dataclass(frozen=True, slots=True)
class Event:
    """A fact with its envelope. `subject` is the incident's id (or the request's or change's), and
    the Kafka key.
    """

    subject: UUID
    sequence: int
    time: datetime
    data: Fact
    trace: TraceContext | None
    id: str

    @property
    def type(self) -> str:
        """The CloudEvents type, `tocsin.<producer>.<Fact>`."""
        return self.data.type


def new_event(
    subject: UUID, sequence: int, time: datetime, data: Fact, trace: TraceContext | None
) -> Event:
    """An event that happens now."""
    return Event(subject, sequence, time, data, trace, str(uuid7()))


def next_sequence(last: int, epoch: int) -> int:
    """The sequence after `last`. A raised epoch (a restored database) puts it above all that were
    given out before.
    """
    return max(last, epoch << _EPOCH_SHIFT) + 1


def event_message(event: Event) -> OutboxMessage:
    """The event as its Kafka message: structured mode, keyed by subject."""
    subject, headers = str(event.subject), {"content-type": "application/cloudevents+json"}
    extensions = {"sequence": f"{event.sequence:020d}"}
    if event.trace is not None:
        extensions["traceparent"] = headers["traceparent"] = event.trace.traceparent
        if event.trace.tracestate:
            extensions["tracestate"] = headers["tracestate"] = event.trace.tracestate
    document = to_structured(
        CloudEvent(
            id=event.id,
            source=f"/tocsin/{event.type.split('.')[1]}",
            type=event.type,
            subject=subject,
            time=event.time,
            data=event.data.model_dump(mode="json"),
            extensions=extensions,
        )
    )
    return OutboxMessage(event.data.topic, subject.encode(), orjson.dumps(document), headers)


def event_messages(events: Sequence[Event]) -> list[OutboxMessage]:
    """Messages in the order of the events."""
    return [event_message(event) for event in events]


def read_fact(record: Record, *wanted: FactClass) -> Event | None:
    """The event of a record of one of Tocsin's own topics. None for a type that this version does
    not know, or that is not in `wanted` (all are, when none is given).

    Raises Malformed when a wanted record breaks the contract.
    """
    if wanted and _certainly_unwanted(record, wanted):
        return None
    envelope = from_record(record)
    fact = Fact.registry.get(envelope.type)
    if fact is None or (wanted and fact not in wanted):
        return None
    try:
        return Event(
            subject=UUID(envelope.subject or ""),
            sequence=int(envelope.extensions.get("sequence", "0")),
            time=envelope.time or record.timestamp,
            data=fact.model_validate(envelope.data),
            trace=envelope.trace,
            id=envelope.id,
        )
    except ValidationError as error:
        raise first_problem(error, "data") from None
    except ValueError as error:
        raise Malformed("subject or sequence", str(error)) from None


def _certainly_unwanted(record: Record, wanted: tuple[FactClass, ...]) -> bool:
    """From its type alone, which is much cheaper than reading the event."""
    fact = Fact.registry.get(type_in(record) or "")
    return fact is not None and fact not in wanted


def first_problem(error: ValidationError, root: str) -> Malformed:
    """The first of pydantic's complaints as a field and a reason."""
    problem = first_problem_in(error)
    return Malformed(".".join([root, *map(str, problem["loc"])]), plain_reason(problem))
