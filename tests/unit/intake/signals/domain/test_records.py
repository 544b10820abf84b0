"""Requests, changes and what cannot be read each become one fact."""

from datetime import UTC, datetime

import orjson
import pytest

from services.intake.signals.domain import (
    AdvisoryData,
    AlertData,
    ChangeData,
    RequestData,
    Signal,
    SignalContent,
    read_signal,
)
from services.intake.signals.domain.records import logged, rejection
from shared.events.cloudevents import Malformed, from_record
from shared.events.intake import AdvisoryRecorded, ChangeRecorded, RequestLogged
from shared.events.rejections import SignalRejected
from shared.kafka.record import Record

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def signal(data: SignalContent) -> Signal:
    return Signal("key /ci", "1", NOON, NOON, None, data)


def test_a_change_is_recorded_and_a_request_logged() -> None:
    change, request = signal(ChangeData(summary="v41")), signal(RequestData(summary="access"))
    recorded = logged(change)
    assert isinstance(recorded, ChangeRecorded)
    assert (recorded.change.change_id, recorded.change.made_at) == (change.subject, NOON)
    asked = logged(request)
    assert isinstance(asked, RequestLogged)
    assert (asked.request.request_id, asked.request.source) == (request.subject, "key /ci")


def test_an_advisory_is_recorded() -> None:
    sent = signal(AdvisoryData(advisory="CVE-2026-1", summary="overflow", packages=["pkg:a/b"]))
    recorded = logged(sent)
    assert isinstance(recorded, AdvisoryRecorded)
    advisory = recorded.advisory
    assert (advisory.advisory_id, advisory.advisory) == (sent.subject, "CVE-2026-1")
    assert (advisory.status, advisory.packages) == ("affected", ["pkg:a/b"])


def test_an_alert_is_neither() -> None:
    with pytest.raises(TypeError, match="alerts and beats are about something else"):
        logged(signal(AlertData(summary="x")))


@pytest.mark.parametrize("raw", [b"M\xfcller-1", b"\xff", b"a\xfe"])
@pytest.mark.parametrize("header", ["ce_id", "ce_source", "ce_type"])
def test_what_identifies_a_record_has_to_be_utf_8(header: str, raw: bytes) -> None:
    """Replacing what cannot be read would make one signal of two."""
    headers = {
        "ce_specversion": b"1.0",
        "ce_id": b"1",
        "ce_source": b"/probe",
        "ce_type": b"tocsin.signals.Alert",
    } | {header: raw}
    value = orjson.dumps({"summary": "disk full"})
    record = Record("tocsin.signals.v1", 2, 7, NOON, None, value, tuple(headers.items()))
    with pytest.raises(Malformed) as refused:
        read_signal(from_record(record), "topic", NOON)
    event = rejection(record, None, refused.value)
    assert isinstance(event.data, SignalRejected)
    assert (event.data.field, event.data.partition, event.data.offset) == (header, 2, 7)
