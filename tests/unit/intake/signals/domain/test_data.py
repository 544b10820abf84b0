"""What publishers send as events, and how it is refused."""

from datetime import UTC, datetime
from typing import Any

import pytest

from services.intake.signals.domain import AdvisoryData, HeartbeatData, read_signal
from shared.events.cloudevents import CloudEvent, Malformed

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HEARTBEAT: dict[str, Any] = {"name": "nightly", "every_seconds": 60}
ADVISORY: dict[str, Any] = {"advisory": "CVE-2026-1", "summary": "overflow"}


def read(kind: str, data: Any) -> Any:
    return read_signal(CloudEvent("1", "/x", f"tocsin.signals.{kind}", data), "key", NOON).data


def test_the_least_that_is_taken() -> None:
    assert read("Heartbeat", {"name": " nightly "}) == HeartbeatData(name="nightly")
    advisory = read("Advisory", ADVISORY | {"severity": 9.8, "published_at": "0001-01-01"})
    assert isinstance(advisory, AdvisoryData)
    assert (advisory.status, advisory.severity, advisory.published_at) == ("affected", "9.8", None)


@pytest.mark.parametrize(
    ("kind", "data", "field"),
    [
        ("Heartbeat", None, "data"),
        ("Heartbeat", [], "data"),
        ("Heartbeat", "nightly", "data"),
        ("Heartbeat", {}, "data.name"),
        ("Heartbeat", {"name": None}, "data.name"),
        ("Heartbeat", {"name": ""}, "data.name"),
        ("Heartbeat", {"name": "  "}, "data.name"),
        ("Heartbeat", {"name": "n" * 201}, "data.name"),
        ("Heartbeat", {"name": "a\x00"}, "data.name"),
        ("Heartbeat", {"name": ["a"]}, "data.name"),
        ("Heartbeat", HEARTBEAT | {"every_seconds": 0}, "data.every_seconds"),
        ("Heartbeat", HEARTBEAT | {"every_seconds": -5}, "data.every_seconds"),
        ("Heartbeat", HEARTBEAT | {"every_seconds": 1.5}, "data.every_seconds"),
        ("Heartbeat", HEARTBEAT | {"every_seconds": "soon"}, "data.every_seconds"),
        ("Heartbeat", HEARTBEAT | {"every_seconds": 10**12}, "data.every_seconds"),
        ("Heartbeat", HEARTBEAT | {"grace_seconds": -1}, "data.grace_seconds"),
        ("Heartbeat", HEARTBEAT | {"grace_seconds": 10**9}, "data.grace_seconds"),
        ("Heartbeat", HEARTBEAT | {"severity": "awful"}, "data.severity"),
        ("Heartbeat", HEARTBEAT | {"summary": " "}, "data.summary"),
        ("Heartbeat", HEARTBEAT | {"service": ""}, "data.service"),
        ("Heartbeat", HEARTBEAT | {"labels": []}, "data.labels"),
        ("Heartbeat", HEARTBEAT | {"labels": {"a": 1}}, "data.labels.a"),
        ("Advisory", None, "data"),
        ("Advisory", {"summary": "x"}, "data.advisory"),
        ("Advisory", {"advisory": "x"}, "data.summary"),
        ("Advisory", ADVISORY | {"advisory": ""}, "data.advisory"),
        ("Advisory", ADVISORY | {"status": "maybe"}, "data.status"),
        ("Advisory", ADVISORY | {"packages": "pkg:a/b"}, "data.packages"),
        ("Advisory", ADVISORY | {"packages": [None]}, "data.packages.0"),
        ("Advisory", ADVISORY | {"aliases": ["a"] * 101}, "data.aliases"),
        ("Advisory", ADVISORY | {"fixed_in": ["\x00"]}, "data.fixed_in.0"),
    ],
)
def test_what_cannot_be_taken_is_refused_by_its_field(kind: str, data: Any, field: str) -> None:
    with pytest.raises(Malformed) as refused:
        read(kind, data)
    assert refused.value.field == field
