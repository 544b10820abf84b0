"""Envelopes from untrusted bytes: every slip names its field, nothing else is ever raised."""

import contextlib
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from cloudevents.v1.conversion import to_json
from cloudevents.v1.http import CloudEvent as Oracle
from hypothesis import given
from hypothesis import strategies as st

from shared.events.cloudevents import (
    MAX_EVENT_BYTES,
    Malformed,
    from_record,
    from_structured,
    load_json,
    to_structured,
)
from shared.kafka.record import Record

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
GOOD = {"specversion": "1.0", "id": "1", "source": "/probe", "type": "t", "data": {"a": 1}}
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def record(value: bytes | None, **headers: str | bytes) -> Record:
    pairs = tuple(
        (name, text.encode() if isinstance(text, str) else text) for name, text in headers.items()
    )
    return Record("tocsin.signals.v1", 0, 0, NOON, None, value, pairs)


def test_structured_mode() -> None:
    event = from_record(
        record(orjson.dumps(GOOD | {"time": "2026-03-01T13:00:00+01:00", "traceparent": TRACE}))
    )
    assert (event.id, event.source, event.type, event.data, event.time) == (
        "1",
        "/probe",
        "t",
        {"a": 1},
        NOON,
    )
    assert event.trace is not None
    assert event.trace.traceparent == TRACE


def test_binary_mode() -> None:
    event = from_record(
        record(
            b'{"a":1}',
            ce_specversion="1.0",
            ce_id="1",
            ce_source="/probe",
            ce_type="t",
            traceparent=TRACE,
        )
    )
    assert event.data == {"a": 1}
    assert event.trace is not None
    assert event.trace.traceparent == TRACE


def test_the_events_own_trace_goes_before_the_transports() -> None:
    other = TRACE.replace("4bf9", "aaaa")
    event = from_record(record(orjson.dumps(GOOD | {"traceparent": TRACE}), traceparent=other))
    assert event.trace is not None
    assert event.trace.traceparent == TRACE


def test_a_malformed_trace_costs_nothing_but_the_trace() -> None:
    assert from_record(record(orjson.dumps(GOOD | {"traceparent": "00-zz"}))).trace is None


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"specversion": "0.3"}, "specversion"),
        ({"id": None}, "id"),
        ({"id": ""}, "id"),
        ({"source": {}}, "source"),
        ({"type": "t" * 2000}, "type"),
        ({"time": "yesterday"}, "time"),
        ({"id": "a\x00b"}, "id"),
        ({"data_base64": "AA=="}, "data_base64"),
    ],
)
def test_a_slip_names_its_field(change: dict[str, Any], field: str) -> None:
    with pytest.raises(Malformed) as slip:
        from_structured(GOOD | change)
    assert slip.value.field == field


def test_a_body_over_the_limit_is_refused_before_it_is_parsed() -> None:
    with pytest.raises(Malformed, match=f"at most {MAX_EVENT_BYTES}"):
        load_json(b"[" * (MAX_EVENT_BYTES + 1))


def test_deep_nesting_is_refused() -> None:
    with pytest.raises(Malformed, match="is not JSON"):
        load_json(b"[" * 100_000)


@given(
    st.binary(max_size=200),
    st.dictionaries(st.text(max_size=20), st.binary(max_size=50), max_size=5),
)
def test_no_bytes_raise_anything_but_malformed(value: bytes, headers: dict[str, bytes]) -> None:
    with contextlib.suppress(Malformed):
        from_record(Record("t", 0, 0, NOON, None, value, tuple(headers.items())))


def test_what_we_write_the_reference_library_reads() -> None:
    event = from_structured(
        GOOD | {"time": "2026-03-01T12:00:00Z", "subject": "s", "sequence": "7"}
    )
    attributes = to_structured(event)
    data = attributes.pop("data")
    oracle = Oracle(attributes, data)
    assert orjson.loads(to_json(oracle)) == to_structured(event)
