"""CloudEvents 1.0 over Kafka and HTTP, structured and binary. Parsing never raises anything but
Malformed.

Sources: CloudEvents 1.0.2 core, its JSON format, Kafka and HTTP protocol bindings.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson

from shared.events.text import shorten
from shared.events.trace_context import TraceContext, trace_in
from shared.kafka.record import Record

MAX_EVENT_BYTES = 512 * 1024
_MAX_ATTRIBUTE = 1024
_MAX_FIELD = 300
_REQUIRED = ("id", "source", "type")
_CORE = frozenset(
    {"specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema"}
)


class Malformed(ValueError):
    """What a publisher sent cannot be taken. `field` names the part at fault, `reason` says how to
    mend it.
    """

    def __init__(self, field: str, reason: str) -> None:
        field = shorten(field, _MAX_FIELD)  # it may be a key of the sender's
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


@dataclass(frozen=True, slots=True)
class CloudEvent:
    """The envelope with its data still unread (a JSON value). `extensions` are strings by
    lower-case name.
    """

    id: str
    source: str
    type: str
    data: Any
    subject: str | None = None
    time: datetime | None = None
    extensions: Mapping[str, str] = field(default_factory=dict)
    header_trace: TraceContext | None = None

    @property
    def trace(self) -> TraceContext | None:
        """Where the publisher stood: the event's own extension first, then the transport's header."""
        return trace_in(self.extensions) or self.header_trace


def load_json(body: bytes, what: str = "body", limit: int = MAX_EVENT_BYTES) -> Any:
    """JSON from untrusted bytes: bounded in size before it is parsed (the parser itself refuses
    1,024 levels).
    """
    if len(body) > limit:
        raise Malformed(what, f"is {len(body)} bytes; at most {limit} are taken")
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Malformed(what, f"is not JSON: {error}") from None


def from_structured(
    document: Any, header_trace: TraceContext | None = None, where: str = ""
) -> CloudEvent:
    """A CloudEvent from one JSON object in structured mode."""
    if not isinstance(document, dict):
        raise Malformed(where or "body", "is not a JSON object with CloudEvents attributes")
    if "data_base64" in document:
        raise Malformed(f"{where}data_base64", "is not taken; send JSON in `data`")
    attributes = {name: value for name, value in document.items() if name != "data"}
    return _build(attributes, document.get("data"), header_trace, where)


def from_binary(
    attributes: Mapping[str, str], body: bytes, header_trace: TraceContext | None = None
) -> CloudEvent:
    """A CloudEvent from attributes (names without `ce-` or `ce_`) and a JSON body."""
    return _build(attributes, load_json(body, "data"), header_trace, "")


def from_record(record: Record) -> CloudEvent:
    """A CloudEvent from a Kafka record in either content mode."""
    if record.value is None:
        raise Malformed("value", "is null; a CloudEvent is expected")
    headers = {
        name.lower(): value.decode("utf-8", errors="replace") for name, value in record.headers
    }
    header_trace = trace_in(headers)
    content_type = headers.get("content-type", "")
    if "ce_specversion" in headers and not content_type.startswith("application/cloudevents"):
        attributes = {name[3:]: value for name, value in headers.items() if name.startswith("ce_")}
        return from_binary(attributes, record.value, header_trace)
    return from_structured(load_json(record.value, "value"), header_trace)


def type_in(record: Record) -> str | None:
    """What a record in structured mode says its type is, before anything else of it is believed.

    Costs a quarter of reading it. None where that must be read to tell.
    """
    if record.value is None or len(record.value) > MAX_EVENT_BYTES:
        return None
    if any(name.lower() == "ce_specversion" for name, _ in record.headers):
        return None
    try:
        document = orjson.loads(record.value)
    except orjson.JSONDecodeError:
        return None
    named = document.get("type") if isinstance(document, dict) else None
    return named if isinstance(named, str) else None


def _build(
    attributes: Mapping[str, Any], data: Any, header_trace: TraceContext | None, where: str
) -> CloudEvent:
    if attributes.get("specversion") != "1.0":
        raise Malformed(f"{where}specversion", 'must be "1.0"')
    for name in _REQUIRED:
        if name not in attributes:
            raise Malformed(f"{where}{name}", "is required")
    texts = {
        # What is plainly a short text is not looked at twice: every reader does this for all
        # attributes of all events.
        name: value
        if type(value) is str and len(value) <= _MAX_ATTRIBUTE and "\x00" not in value
        else _text(value, where + name)
        for name, value in attributes.items()
        if value is not None
    }
    for name in _REQUIRED:
        if not texts.get(name):
            raise Malformed(f"{where}{name}", "must not be empty")
    return CloudEvent(
        id=texts["id"],
        source=texts["source"],
        type=texts["type"],
        subject=texts.get("subject"),
        time=_time(texts.get("time"), where + "time"),
        data=data,
        extensions={name: value for name, value in texts.items() if name not in _CORE},
        header_trace=header_trace,
    )


def _text(value: Any, name: str) -> str:
    if isinstance(value, bool | int):
        value = str(value).lower()
    if not isinstance(value, str):
        raise Malformed(name, "must be a string")
    if len(value) > _MAX_ATTRIBUTE:
        raise Malformed(name, f"is longer than {_MAX_ATTRIBUTE} characters")
    if "\x00" in value:
        raise Malformed(name, "contains a NUL character")
    return value


def _time(text: str | None, name: str) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise Malformed(name, "is not an RFC 3339 timestamp") from None


def to_structured(event: CloudEvent) -> dict[str, Any]:
    """The JSON object of structured mode."""
    document: dict[str, Any] = {
        "specversion": "1.0",
        "id": event.id,
        "source": event.source,
        "type": event.type,
        "datacontenttype": "application/json",
        **event.extensions,
        "data": event.data,
    }
    if event.subject is not None:
        document["subject"] = event.subject
    if event.time is not None:
        document["time"] = event.time.isoformat().replace("+00:00", "Z")
    return document
