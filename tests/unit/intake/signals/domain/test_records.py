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
from services.intake.signals.domain.records import cleansed, logged, rejection
from services.intake.signals.domain.redaction import Redactor
from services.intake.signals.policy import Redaction
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


REDACTOR = Redactor(Redaction())
SECRETS = {"summary": "ask ana@corp.example", "labels": {"password": "hunter2"}}
TAKEN_OUT = {"summary": "ask [redacted e-mail address]", "labels": {"password": "[redacted value]"}}


def test_a_dead_letter_of_a_signal_is_redacted_and_stays_the_same_signal() -> None:
    event = {"specversion": "1.0", "id": "mail-ana@corp.example", "source": "/x", "type": "y"}
    record = Record("signals", 0, 1, NOON, b"k", orjson.dumps(event | {"data": SECRETS}))
    clean, reason = cleansed(record, "no: ana@corp.example", REDACTOR)
    assert orjson.loads(clean.value or b"") == event | {"data": TAKEN_OUT}
    assert reason == "no: [redacted e-mail address]"
    assert cleansed(clean, reason, REDACTOR) == (clean, reason)


def test_a_dead_letter_in_binary_mode_is_redacted_too() -> None:
    headers = (("ce_id", b"ana@corp.example"), ("authorization", b"hunter2"), ("x", b"\xff"))
    record = Record("signals", 0, 1, NOON, None, orjson.dumps(SECRETS), headers)
    clean, _ = cleansed(record, "", REDACTOR)
    assert orjson.loads(clean.value or b"") == TAKEN_OUT
    assert clean.headers == (
        ("ce_id", b"ana@corp.example"),
        ("authorization", b"[redacted value]"),
        ("x", b"\xff"),
    )


@pytest.mark.parametrize("value", [None, b"", b"\xff\xfe{", b'{"a": 1}', b"[1, 2]", b"null"])
def test_what_holds_no_secret_stays_byte_for_byte(value: bytes | None) -> None:
    record = Record("signals", 0, 1, NOON, b"k", value)
    assert cleansed(record, "no", REDACTOR) == (record, "no")


def test_what_is_no_json_is_redacted_as_text() -> None:
    record = Record("signals", 0, 1, NOON, b"k", b"<a>ana@corp.example</a>\xff")
    clean, _ = cleansed(record, "", REDACTOR)
    assert clean.value == b"<a>[redacted e-mail address]</a>\xff"


def test_a_rejection_does_not_repeat_what_must_not_be_kept() -> None:
    record = Record("signals", 0, 1, NOON, None, b"")
    refused = Malformed("data.labels.ana@corp.example", "is `password=hunter2`")
    fact = rejection(record, None, refused, REDACTOR.text).data
    assert isinstance(fact, SignalRejected)
    assert "corp" not in fact.field
    assert fact.reason == "is `password=[redacted token]`"
