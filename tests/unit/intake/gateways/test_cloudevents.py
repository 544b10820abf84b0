"""CloudEvents over HTTP: which mode a request is in, and what is refused by its name."""

import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.intake.gateways.cloudevents import MAX_BATCH, read_events
from services.intake.signals.domain import AlertData, Signal
from shared.events.cloudevents import Malformed
from shared.http.app import Problem
from tests.support.fuzzing import ANY_JSON
from tests.unit.intake.builders import submission

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
JSON = "application/json"
EVENT = {
    "specversion": "1.0",
    "id": "1",
    "source": "/probe",
    "type": "tocsin.signals.Alert",
    "data": {"summary": "disk full"},
}
ATTRIBUTES = {f"ce-{name}": str(value) for name, value in EVENT.items() if name != "data"}


def read(body: Any, content_type: str, **headers: str) -> list[Signal]:
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    data = body if isinstance(body, bytes) else orjson.dumps(body)
    return read_events(submission(data, content_type, raw))


@pytest.mark.parametrize(
    ("body", "content_type", "headers"),
    [
        (EVENT, STRUCTURED, {}),
        (EVENT, JSON, {}),
        (EVENT, "", {}),
        (EVENT["data"], JSON, ATTRIBUTES),
        (EVENT["data"], "", ATTRIBUTES),
        ([EVENT], BATCH, {}),
    ],
)
def test_an_event_is_the_same_in_every_mode(
    body: Any, content_type: str, headers: dict[str, str]
) -> None:
    (signal,) = read(body, content_type, **headers)
    assert (signal.origin, signal.signal_id) == ("key /probe", "1")
    assert signal.data.summary == "disk full"


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (EVENT, "application/x-www-form-urlencoded"),
        (EVENT, "text/plain"),
        ({"summary": "disk full"}, JSON),
        ([EVENT], JSON),
    ],
)
def test_what_is_in_no_mode_is_refused_by_its_content_type(body: Any, content_type: str) -> None:
    with pytest.raises(Problem) as refused:
        read(body, content_type)
    assert (refused.value.status, refused.value.extra["field"]) == (415, "Content-Type")


def without(*names: str) -> dict[str, Any]:
    return {name: value for name, value in EVENT.items() if name not in names}


def binary(**changes: str) -> dict[str, str]:
    return ATTRIBUTES | {f"ce-{name}": value for name, value in changes.items()}


@pytest.mark.parametrize(
    ("body", "content_type", "headers", "field"),
    [
        (b"{", JSON, {}, "body"),
        (b"", STRUCTURED, {}, "body"),
        (b"[]", STRUCTURED, {}, "body"),
        (b'{"id": "\xff"}', STRUCTURED, {}, "body"),
        (without("specversion"), STRUCTURED, {}, "specversion"),
        (EVENT | {"specversion": 1.0}, STRUCTURED, {}, "specversion"),
        (EVENT | {"specversion": "0.3"}, STRUCTURED, {}, "specversion"),
        (without("id"), STRUCTURED, {}, "id"),
        (EVENT | {"id": None}, STRUCTURED, {}, "id"),
        (EVENT | {"id": "x" * 1_025}, STRUCTURED, {}, "id"),
        (EVENT | {"id": "\x00"}, STRUCTURED, {}, "id"),
        (b'{"specversion": "1.0", "id": "\\ud83d", "source": "/x", "type": "t"}', JSON, {}, "id"),
        (EVENT | {"source": {}}, STRUCTURED, {}, "source"),
        (without("type"), STRUCTURED, {}, "type"),
        (EVENT | {"type": "tocsin.signals.Alarm"}, STRUCTURED, {}, "type"),
        (without("data"), STRUCTURED, {}, "data"),
        (EVENT | {"data": "text"}, STRUCTURED, {}, "data"),
        (EVENT | {"data": {}}, STRUCTURED, {}, "data.summary"),
        (EVENT | {"data": {"summary": " "}}, JSON, {}, "data.summary"),
        (EVENT | {"data": {"summary": "x", "status": "broken"}}, JSON, {}, "data.status"),
        (EVENT | {"data": {"summary": "x", "labels": [1]}}, JSON, {}, "data.labels"),
        (EVENT | {"data": {"summary": "x", "links": "x"}}, JSON, {}, "data.links"),
        (EVENT | {"data_base64": "e30="}, STRUCTURED, {}, "data_base64"),
        (without("data") | {"data_base64": "?"}, STRUCTURED, {}, "data_base64"),
        (EVENT | {"team": ["a"]}, STRUCTURED, {}, "team"),
        ([], BATCH, {}, "body"),
        ({}, BATCH, {}, "body"),
        ([EVENT] * (MAX_BATCH + 1), BATCH, {}, "body"),
        ([7], BATCH, {}, "[0]."),
        ([EVENT, EVENT | {"source": ""}], BATCH, {}, "[1].source"),
        ([EVENT, EVENT | {"data": {}}], BATCH, {}, "[1].data.summary"),
        (EVENT["data"], JSON, binary(specversion="2.0"), "specversion"),
        (EVENT["data"], JSON, binary(id=""), "id"),
        (EVENT["data"], JSON, binary(id="%FF"), "ce-id"),
        (EVENT["data"], JSON, binary(id="%00"), "id"),
        (b"disk full", JSON, ATTRIBUTES, "data"),
        (b"", JSON, ATTRIBUTES, "data"),
    ],
)
def test_what_cannot_be_taken_is_refused_by_its_field(
    body: Any, content_type: str, headers: dict[str, str], field: str
) -> None:
    with pytest.raises(Malformed) as refused:
        read(body, content_type, **headers)
    assert (refused.value.field, bool(refused.value.reason)) == (field, True)


@pytest.mark.parametrize(
    "time", ["2016-12-31T23:59:60Z", "2026-11-29t10:00:00z", "0001-01-01T00:00:00+01:00", "?", 7]
)
def test_a_time_decides_over_nothing(time: Any) -> None:
    batch = [EVENT | {"time": time}, EVENT | {"id": "2", "data": {"summary": "x", "ends_at": time}}]
    assert len(read(batch, BATCH)) == 2


def test_a_byte_order_mark_is_ignored() -> None:
    assert read(b"\xef\xbb\xbf" + orjson.dumps(EVENT), STRUCTURED)


DATA = st.fixed_dictionaries({}, optional=dict.fromkeys(AlertData.model_fields, ANY_JSON))
ODD = st.fixed_dictionaries(
    {name: st.just(value) | ANY_JSON for name, value in without("data").items()}
    | {"data": DATA | ANY_JSON},
    optional=dict.fromkeys(("time", "subject", "traceparent", "data_base64"), ANY_JSON),
)


@given(
    ODD | st.lists(ODD | ANY_JSON, max_size=3) | ANY_JSON,
    st.sampled_from([STRUCTURED, BATCH, JSON, ""]),
)
def test_any_json_is_taken_or_refused(document: Any, content_type: str) -> None:
    with suppress(Malformed, Problem):
        read(json.dumps(document).encode(), content_type)


@given(
    st.dictionaries(
        st.sampled_from([*ATTRIBUTES, "ce-time", "ce-team", "traceparent"]), st.binary(max_size=30)
    ),
    st.binary(max_size=30),
)
def test_any_headers_are_taken_or_refused(headers: dict[str, bytes], body: bytes) -> None:
    raw = [(name.encode(), value) for name, value in headers.items()]
    with suppress(Malformed, Problem):
        read_events(submission(body, JSON, [(b"ce-specversion", b"1.0"), *raw]))
