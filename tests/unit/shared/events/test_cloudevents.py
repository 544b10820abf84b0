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
    Malformed,
    binary_attributes,
    from_binary,
    from_record,
    from_structured,
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
        ({"id": "a\x00b"}, "id"),
        ({"data_base64": "AA=="}, "data_base64"),
    ],
)
def test_a_slip_names_its_field(change: dict[str, Any], field: str) -> None:
    with pytest.raises(Malformed) as slip:
        from_structured(GOOD | change)
    assert slip.value.field == field


def test_data_may_be_json_in_base64() -> None:
    packed = {name: value for name, value in GOOD.items() if name != "data"}
    assert from_structured(packed | {"data_base64": "eyJhIjoxfQ=="}) == from_structured(GOOD)


@pytest.mark.parametrize("data", [None, 7, {}, [], "", "%", "eyJhIjoxfQ=", "/w==", "ä"])
def test_what_is_no_json_in_base64_is_refused_by_name(data: Any) -> None:
    packed = {name: value for name, value in GOOD.items() if name != "data"}
    with pytest.raises(Malformed) as slip:
        from_structured(packed | {"data_base64": data}, where="[3].")
    assert slip.value.field == "[3].data_base64"


@pytest.mark.parametrize(
    "time",
    ["yesterday", "", 5, 1.5, True, None, {}, [], "x" * 5000, "\0", "0001-01-01T00:00:00+01:00"],
)
def test_a_time_that_cannot_be_read_costs_the_time(time: Any) -> None:
    event = from_structured(GOOD | {"time": time})
    assert (event.id, event.time) == ("1", None)


def http(**attributes: str | bytes) -> list[tuple[bytes, bytes]]:
    """The headers of a binary event, as they come over HTTP."""
    good: dict[str, str | bytes] = {"specversion": "1.0", "id": "1", "source": "/x", "type": "t"}
    return [
        (f"Ce-{name}".encode(), value.encode() if isinstance(value, str) else value)
        for name, value in (good | attributes).items()
    ]


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ("plain", "plain"),
        (" plain\t", "plain"),
        ("Z%C3%BCrich", "Zürich"),
        ("Zürich", "Zürich"),
        ('"quoted"', "quoted"),
        (r'"a \" and \\"', 'a " and \\'),
        ('"Z%C3%BCrich 100%25"', "Zürich 100%"),
        ("100%25%20", "100% "),
        ("%", "%"),
        ("100%zz", "100%zz"),
        ("%F0%9F%94%A5", "🔥"),
        ('"', '"'),
    ],
)
def test_a_header_is_read_by_the_http_binding(sent: str, read: str) -> None:
    attributes = binary_attributes(http(subject=sent))
    assert attributes["subject"] == read
    assert from_binary(attributes, b"{}").subject == read


@pytest.mark.parametrize("value", [b"Z\xfcrich", b"Z%FCrich", b"a%ED%A0%BD", b'"%80"', b"\xff"])
@pytest.mark.parametrize("name", ["id", "source", "subject", "team"])
def test_a_header_that_is_not_utf_8_is_refused_by_name(name: str, value: bytes) -> None:
    with pytest.raises(Malformed) as caught:
        binary_attributes(http(**{name: value}))
    assert caught.value.field == f"ce-{name}"


@pytest.mark.parametrize("value", [b"Z\xfcrich", b"\xed\xa0\xbd", b"\xff"])
@pytest.mark.parametrize("name", ["id", "source", "subject", "team"])
def test_a_header_of_a_record_that_is_not_utf_8_is_refused_by_name(name: str, value: bytes) -> None:
    headers: dict[str, str | bytes] = {"ce_specversion": "1.0", "ce_id": "1", f"ce_{name}": value}
    with pytest.raises(Malformed) as caught:
        from_record(record(b"{}", **headers))
    assert caught.value.field == f"ce_{name}"


def test_a_header_that_is_no_attribute_may_hold_any_bytes() -> None:
    headers: dict[str, str | bytes] = {"ce_specversion": "1.0", "ce_source": "/x", "ce_type": "t"}
    event = from_record(record(b"{}", ce_id="Zürich", other=b"\xff", ce_time=b"\xff", **headers))
    assert (event.id, event.time) == ("Zürich", None)
    assert binary_attributes([*http(), (b"x-name", b"\xff"), (b"ce-time", b"\xff")])["id"] == "1"


def test_an_attribute_that_contradicts_itself_is_refused() -> None:
    same, other = (b"CE-ID", b"1"), (b"ce-id", b"2")
    assert binary_attributes([*http(), same])["id"] == "1"
    with pytest.raises(Malformed, match="ce-id"):
        binary_attributes([*http(), other])


def test_white_space_around_the_headers_of_a_record_is_not_part_of_them() -> None:
    structured = {"content-type": " application/CloudEvents+json ", "ce_specversion": "1.0 "}
    assert from_record(record(orjson.dumps(GOOD), **structured)).id == "1"
    binary = {"ce_specversion": "1.0 ", "ce_id": " 1", "ce_source": "/x\t", "ce_type": "t"}
    assert from_record(record(b"{}", traceparent=f"{TRACE} ", **binary)).trace is not None


def test_a_record_with_a_byte_order_mark_or_half_a_pair_is_read() -> None:
    body = orjson.dumps(GOOD | {"data": {"summary": "sur X"}}).replace(b"X", rb"\ud83d")
    assert from_record(record(b"\xef\xbb\xbf" + body)).data == {"summary": "sur \ufffd"}


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
