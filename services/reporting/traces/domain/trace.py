"""A trace, read from the answer of a query API like Jaeger's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, Field, ValidationError

_LATEST = 253_402_300_799_000_000
"""The end of year 9999 in microseconds: the clocks of others may be wrong, ours go no further."""
_MAX_ATTRIBUTES = 40
_MAX_CHARACTERS = 500


class InvalidTrace(Exception):
    """The answer is not that of such an API."""


@dataclass(frozen=True, slots=True)
class Span:
    """One piece of work. `start` (since 1970) and `length` are in microseconds; a span without
    `parent` is the root of its trace; `links` are ids of other traces.
    """

    span_id: str
    parent: str | None
    service: str
    name: str
    start: int
    length: int
    failed: bool = False
    attributes: Mapping[str, str] = field(default_factory=dict)
    links: Sequence[str] = ()

    @property
    def end(self) -> int:
        """In microseconds since 1970."""
        return self.start + self.length


def read_trace(body: bytes | str) -> list[Span]:
    """The spans of an answer to `/api/traces/{id}`, each once; none when the backend does not know
    the trace.

    Raises InvalidTrace.
    """
    try:
        answer = _Answer.model_validate_json(body)
    except ValidationError:
        raise InvalidTrace from None
    spans = (_read(span, trace.processes) for trace in answer.data or () for span in trace.spans)
    # A backend stores a span twice if it was exported twice, as when an answer was lost.
    return list({span.span_id: span for span in spans}.values())


class _Tag(BaseModel):
    key: str
    value: Any = None


class _Reference(BaseModel):
    kind: str = Field(alias="refType")
    trace_id: str = Field(alias="traceID")
    span_id: str = Field(alias="spanID")


class _Span(BaseModel):
    trace_id: str = Field(alias="traceID")
    span_id: str = Field(alias="spanID")
    references: list[_Reference] | None = None
    name: str = Field(alias="operationName")
    start: int = Field(alias="startTime")
    length: int = Field(alias="duration")
    tags: list[_Tag] | None = None
    process: str = Field("", alias="processID")


class _Process(BaseModel):
    service: str = Field("", alias="serviceName")


class _Trace(BaseModel):
    spans: list[_Span]
    processes: dict[str, _Process] = {}


class _Answer(BaseModel):
    data: list[_Trace] | None


def _read(span: _Span, processes: Mapping[str, _Process]) -> Span:
    references, tags = span.references or [], span.tags or []
    own = [one for one in references if one.kind == "CHILD_OF" and one.trace_id == span.trace_id]
    process = processes.get(span.process)
    start = min(max(span.start, 0), _LATEST)
    return Span(
        span_id=span.span_id,
        parent=own[0].span_id if own else None,
        service=(process.service if process else "") or "unknown",
        name=span.name[:_MAX_CHARACTERS],
        start=start,
        length=min(max(span.length, 0), _LATEST - start),
        failed=any(tag.key == "error" and tag.value in (True, "true") for tag in tags),
        attributes={tag.key[:_MAX_CHARACTERS]: _text(tag.value) for tag in tags[:_MAX_ATTRIBUTES]},
        links=[one.trace_id for one in references if one not in own[:1]],
    )


def _text(value: Any) -> str:
    return (str(value).lower() if isinstance(value, bool) else str(value))[:_MAX_CHARACTERS]
