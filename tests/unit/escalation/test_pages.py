"""What a page says, whatever the summary holds."""

from datetime import UTC, datetime
from email import message_from_bytes, policy
from uuid import UUID

import orjson
import pytest

from services.escalation.delivery.domain.pages import Notice, mail, webhook_body


def notice(summary: str = "disk full") -> Notice:
    return Notice(
        attempt_key="018f.1.1.ana.email",
        incident_id=UUID("018f0000-0000-7000-8000-000000000001"),
        number=1042,
        summary=summary,
        service=None,
        priority="P1",
        team="payments",
        runbook=None,
        user="ana",
        step=1,
        round=1,
        why=("step 1: user ana\r\nBcc: x@example.com",),
        acknowledge_url="https://tocsin.example/a/1",
        resolve_url="https://tocsin.example/a/2",
        console_url="https://tocsin.example/incidents/1",
        trace_id=None,
        at=datetime(2026, 3, 1, 12, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    "summary", ["x\r\nBcc: evil@example.com", "x\n\n.\nQUIT", "x\x00\x1b[31m", "é" * 3000, ""]
)
def test_a_summary_cannot_make_a_header_or_end_a_mail(summary: str) -> None:
    message = message_from_bytes(
        mail(notice(summary), "tocsin@example.com", "ana@example.com").as_bytes()
    )
    assert "Bcc" not in message
    assert message["To"] == "ana@example.com"
    assert len(message.keys()) == len(set(message.keys()))


def test_the_mail_reads_as_text() -> None:
    raw = mail(notice(), "tocsin@example.com", "ana@example.com").as_bytes()
    message = message_from_bytes(raw, policy=policy.default)
    text = message.get_content()
    assert "Acknowledge  https://tocsin.example/a/1" in text
    assert "- step 1: user ana Bcc: x@example.com" in text
    assert message["Auto-Submitted"] == "auto-generated"


def test_the_webhook_has_type_timestamp_and_data() -> None:
    body = orjson.loads(webhook_body(notice()))
    assert (body["type"], body["timestamp"]) == ("tocsin.page", "2026-03-01T12:00:00Z")
    assert body["data"]["incident"] == "INC-1042"
