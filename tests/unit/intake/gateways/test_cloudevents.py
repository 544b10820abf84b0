"""CloudEvents over HTTP: which mode a request is in, and what is refused by its name."""

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from services.intake.gateways.cloudevents import MAX_BATCH, read_events
from services.intake.signals.domain import Signal
from shared.events.cloudevents import Malformed
from shared.http.app import Problem
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


@pytest.mark.parametrize(
    ("body", "content_type", "headers", "field"),
    [
        (b"{", JSON, {}, "body"),
        (EVENT | {"id": None}, STRUCTURED, {}, "id"),
        (EVENT | {"data": {"summary": " "}}, JSON, {}, "data.summary"),
        ([], BATCH, {}, "body"),
        ({}, BATCH, {}, "body"),
        ([EVENT] * (MAX_BATCH + 1), BATCH, {}, "body"),
        ([EVENT, EVENT | {"source": ""}], BATCH, {}, "[1].source"),
        (EVENT["data"], JSON, ATTRIBUTES | {"ce-id": "%FF"}, "ce-id"),
    ],
)
def test_what_cannot_be_taken_is_refused_by_its_field(
    body: Any, content_type: str, headers: dict[str, str], field: str
) -> None:
    with pytest.raises(Malformed) as refused:
        read(body, content_type, **headers)
    assert refused.value.field == field
