"""One record as it was read from Kafka, before it is parsed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from shared.events.trace_context import TraceContext, parse_trace

_MAX_TRACES = 128


@dataclass(frozen=True, slots=True)
class Record:
    """`topic` is without prefix; header values are bytes as they came; `timestamp` is the broker's,
    in UTC.
    """

    topic: str
    partition: int
    offset: int
    timestamp: datetime
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


def trace_of(record: Record) -> TraceContext | None:
    """The publisher's trace context, from the record's headers."""
    for name, value in record.headers:
        if name.lower() == "traceparent":
            return parse_trace(value.decode("ascii", errors="replace"))
    return None


def traces_of(records: Sequence[Record]) -> list[TraceContext]:
    """The different contexts among the records, no more than a span may link to."""
    traces = (trace_of(record) for record in records[:_MAX_TRACES])
    return list(dict.fromkeys(trace for trace in traces if trace))
