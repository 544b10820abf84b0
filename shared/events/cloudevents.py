"""CloudEvents 1.0 over Kafka and HTTP, structured and binary. Parsing only ever raises Malformed.

Sources: CloudEvents 1.0.2 core, its JSON format, Kafka and HTTP protocol bindings.
"""

import re
from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import unquote_to_bytes

import orjson

from shared.events.documents import MAX_EVENT_BYTES, load_json
from shared.events.headers import Headers, normalised
from shared.events.malformed import Malformed
from shared.events.times import read_time
from shared.events.trace_context import TraceContext, trace_in, trace_in_headers
from shared.kafka.record import Record

__all__ = [
    "MAX_EVENT_BYTES",
    "CloudEvent",
    "Malformed",
    "binary_attributes",
    "from_binary",
    "from_record",
    "from_structured",
    "load_json",
    "to_structured",
    "type_in",
]

_MAX_ATTRIBUTE = 1024
_REQUIRED = ("id", "source", "type")
_CORE = frozenset(
    {"specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema"}
)
_QUOTED = re.compile(rb'"((?:[^"\\]|\\.)*)"')
_ESCAPED = re.compile(rb"\\(.)")


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
        """The publisher's trace context: the event's own extension, else the transport's header."""
        return trace_in(self.extensions) or self.header_trace


def from_structured(
    document: Any, header_trace: TraceContext | None = None, where: str = ""
) -> CloudEvent:
    """A CloudEvent from one JSON object in structured mode."""
    if not isinstance(document, dict):
        raise Malformed(where or "body", "is not a JSON object with CloudEvents attributes")
    if "data_base64" in document:
        return _build(*_unpacked(document, where), header_trace, where)
    attributes = {name: value for name, value in document.items() if name != "data"}
    return _build(attributes, document.get("data"), header_trace, where)


def binary_attributes(headers: Headers) -> dict[str, str]:
    """The attributes in the `ce-` headers of an HTTP request, by name without `ce-`. Their values
    are read as its binding (3.1.3.2) says, and must be UTF-8. Raises Malformed naming the header.
    """
    return _attributes(headers, "ce-", _http_value)


def from_binary(
    attributes: Mapping[str, str], body: bytes, header_trace: TraceContext | None = None
) -> CloudEvent:
    """A CloudEvent from attributes (names without `ce-` or `ce_`) and a JSON body."""
    return _build(attributes, load_json(body, "data"), header_trace, "")


def from_record(record: Record) -> CloudEvent:
    """A CloudEvent from a Kafka record in either content mode."""
    if record.value is None:
        raise Malformed("value", "is null; a CloudEvent is expected")
    headers = dict(normalised(record.headers))
    header_trace = trace_in_headers(record.headers)
    content_type = headers.get("content-type", b"").lower()
    if "ce_specversion" in headers and not content_type.startswith(b"application/cloudevents"):
        attributes = _attributes(record.headers, "ce_", bytes)
        return from_binary(attributes, record.value, header_trace)
    return from_structured(load_json(record.value, "value"), header_trace)


def type_in(record: Record) -> str | None:
    """The type that a record in structured mode claims, before anything else in it is checked.

    Costs a quarter of reading the event. None when only reading it can show the type.
    """
    if record.value is None or len(record.value) > MAX_EVENT_BYTES:
        return None
    if any(name.lower() == "ce_specversion" for name, _ in record.headers):
        return None
    try:
        document = orjson.loads(record.value)
    except orjson.JSONDecodeError:
        return None
    claimed = document.get("type") if isinstance(document, dict) else None
    return claimed if isinstance(claimed, str) else None


def _unpacked(document: Mapping[str, Any], where: str) -> tuple[dict[str, Any], Any]:
    """Attributes and data of an event whose publisher had its JSON as bytes."""
    name = f"{where}data_base64"
    if "data" in document:
        raise Malformed(name, "stands beside `data`; send one of the two")
    try:
        data = b64decode(document["data_base64"], validate=True)
    except (TypeError, ValueError):
        raise Malformed(name, "is not JSON in Base64") from None
    attributes = {key: value for key, value in document.items() if key != "data_base64"}
    return attributes, load_json(data, name)


def _build(
    attributes: Mapping[str, Any], data: Any, header_trace: TraceContext | None, where: str
) -> CloudEvent:
    if attributes.get("specversion") != "1.0":
        raise Malformed(f"{where}specversion", 'must be "1.0"')
    for name in _REQUIRED:
        if name not in attributes:
            raise Malformed(f"{where}{name}", "is required")
    texts = {
        # Plain short texts take the short way: every reader does this for all attributes of all
        # events.
        name: value
        if type(value) is str and len(value) <= _MAX_ATTRIBUTE and "\x00" not in value
        else _text(value, where + name)
        for name, value in attributes.items()
        if value is not None and name != "time"
    }
    for name in _REQUIRED:
        if not texts.get(name):
            raise Malformed(f"{where}{name}", "must not be empty")
    return CloudEvent(
        id=texts["id"],
        source=texts["source"],
        type=texts["type"],
        subject=texts.get("subject"),
        time=_time(attributes.get("time")),
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


def _time(value: Any) -> datetime | None:
    """None for a time that cannot be read: readers then use the time of receipt."""
    return read_time(value) if isinstance(value, str) else None


def _attributes(headers: Headers, prefix: str, unquote: Callable[[bytes], bytes]) -> dict[str, str]:
    found: dict[str, str] = {}
    for header, value in normalised(headers):
        name = header.removeprefix(prefix)
        if name == header:
            continue
        try:
            text = unquote(value).decode("utf-8")
        except UnicodeDecodeError:
            if name == "time":
                continue
            # Replacing what cannot be read would make one id of two.
            raise Malformed(header, "is not UTF-8") from None
        if found.setdefault(name, text) != text:
            raise Malformed(header, "is there more than once, with different values")
    return found


def _http_value(value: bytes) -> bytes:
    if quoted := _QUOTED.fullmatch(value):
        value = _ESCAPED.sub(rb"\1", quoted[1])
    return unquote_to_bytes(value)


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
