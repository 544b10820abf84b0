"""Trace contexts of records."""

from datetime import UTC, datetime

from shared.kafka.record import Record, trace_of, traces_of

NOON = datetime(2030, 6, 1, 12, tzinfo=UTC)
TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def record(offset: int, *headers: tuple[str, bytes]) -> Record:
    """A record of no importance."""
    return Record("things", 0, offset, NOON, None, b"", headers)


def test_a_batch_has_the_different_traces_of_its_records() -> None:
    good = ("TraceParent", TRACEPARENT.encode())
    records = [record(0, good), record(1, good), record(2, ("traceparent", b"\xff")), record(3)]

    assert [trace.traceparent for trace in traces_of(records)] == [TRACEPARENT]


def test_the_first_traceparent_of_a_record_counts() -> None:
    two = record(0, ("traceparent", b"nonsense"), ("traceparent", TRACEPARENT.encode()))

    assert trace_of(two) is None
