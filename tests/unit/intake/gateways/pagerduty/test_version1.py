"""PagerDuty's events of version 1."""

from typing import Any

import orjson
import pytest

from services.intake.gateways.pagerduty.answers import MAX_BODY_BYTES
from services.intake.gateways.pagerduty.version1 import read_event, render_event
from services.intake.signals.domain import AlertData, Signal
from shared.events.cloudevents import Malformed
from tests.unit.intake.builders import submission


def event(kind: Any = "trigger", **more: Any) -> dict[str, Any]:
    return {"service_key": "k", "event_type": kind, "incident_key": "7", **more}


def read(document: Any) -> Signal:
    body = document if isinstance(document, bytes) else orjson.dumps(document)
    (signal,) = read_event(submission(body))
    return signal


def test_every_field_has_its_place() -> None:
    signal = read(
        event(
            description="disk 91 %",
            details={"service": "orders", "severity": "warning", "output": "a\nb"},
            client="LibreNMS",
            client_url="http://librenms.example",
            contexts=[
                {"type": "link", "href": "http://runbook.example"},
                {"type": "image", "src": "http://graph.example/1.png"},
                "odd",
            ],
        )
    )
    assert isinstance(signal.data, AlertData)
    alert = signal.data
    assert (alert.status, alert.summary, alert.severity) == ("firing", "disk 91 %", "warning")
    assert (alert.key, alert.service, alert.by) == ("7", "orders", "LibreNMS")
    assert alert.annotations == {"output": "a\nb"}
    assert len(alert.links) == 3
    answer = {"status": "success", "message": "Event processed", "incident_key": "7"}
    assert render_event([signal], {}) == answer


MALFORMED: list[tuple[Any, str]] = [
    (b"", "body"),
    (b"{", "body"),
    (b"\xff\xfe", "body"),
    (b"[" * 100_000, "body"),
    (b"{}" + b" " * MAX_BODY_BYTES, "body"),
    ([], "body"),
    ([event(description="x")], "body"),
    ("text", "body"),
    (None, "body"),
    ({}, "service_key"),
    ({"service_key": "k"}, "event_type"),
    (event(None), "event_type"),
    (event("TRIGGER", description="x"), "event_type"),
    (event("close"), "event_type"),
    (event({"a": 1}), "event_type"),
    (event("acknowledge", incident_key=""), "incident_key"),
    (event("resolve", incident_key=None), "incident_key"),
    (event("resolve", incident_key=[]), "incident_key"),
    (event(), "description"),
    (event(description=" "), "description"),
    (event(description=None, details={}), "description"),
]


@pytest.mark.parametrize(("document", "field"), MALFORMED)
def test_what_can_never_be_taken_is_named(document: Any, field: str) -> None:
    with pytest.raises(Malformed) as caught:
        read(document)
    assert caught.value.field == field
