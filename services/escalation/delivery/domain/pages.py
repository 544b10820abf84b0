"""What a page says, as a webhook's body and as mail. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime
from uuid import UUID

import orjson

from shared.events.text import shorten

_MAX_SUBJECT = 200


@dataclass(frozen=True, slots=True)
class Notice:
    """One page to one person, complete but for the address. The links are secrets: never stored or
    logged.
    """

    attempt_key: str
    incident_id: UUID
    number: int
    summary: str
    service: str | None
    priority: str
    team: str
    runbook: str | None
    user: str
    step: int
    round: int
    why: Sequence[str]
    acknowledge_url: str
    resolve_url: str
    console_url: str
    trace_id: str | None
    at: datetime


def webhook_body(notice: Notice) -> bytes:
    """The JSON body, in the layout of Standard Webhooks: type, timestamp, data."""
    return orjson.dumps(
        {
            "type": "tocsin.page",
            "timestamp": notice.at,
            "data": {
                "incident_id": str(notice.incident_id),
                "incident": f"INC-{notice.number}",
                "summary": notice.summary,
                "service": notice.service,
                "priority": notice.priority,
                "team": notice.team,
                "runbook": notice.runbook,
                "user": notice.user,
                "step": notice.step,
                "round": notice.round,
                "why": list(notice.why),
                "acknowledge_url": notice.acknowledge_url,
                "resolve_url": notice.resolve_url,
                "console_url": notice.console_url,
                "trace_id": notice.trace_id,
            },
        },
        option=orjson.OPT_UTC_Z,
    )


def mail(notice: Notice, sender: str, address: str) -> EmailMessage:
    """The mail. Raises ValueError when the address is none; a line break in the summary cannot make
    a header.
    """
    message = EmailMessage()
    message["From"] = sender
    message["To"] = address
    message["Subject"] = _one_line(f"[{notice.priority}] INC-{notice.number} {notice.summary}")
    message["Date"] = format_datetime(notice.at)
    # Every attempt of one page has one id, so that a mail system can drop the repeat.
    message["Message-ID"] = f"<{notice.attempt_key}@tocsin>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(_text(notice))
    return message


def _text(notice: Notice) -> str:
    lines = [
        _one_line(notice.summary),
        "",
        f"Incident  INC-{notice.number}, {notice.priority}",
        f"Service   {_one_line(notice.service or 'unknown')}",
        f"Team      {notice.team}",
        f"Runbook   {notice.runbook or 'none'}",
        "",
        f"Acknowledge  {notice.acknowledge_url}",
        f"Resolve      {notice.resolve_url}",
        f"Console      {notice.console_url}",
        "",
        "Why you were paged:",
        *(f"- {_one_line(reason)}" for reason in notice.why),
        "",
        f"Trace  {notice.trace_id or 'none'}",
    ]
    return "\n".join(lines) + "\n"


def _one_line(text: str) -> str:
    return shorten(
        " ".join("".join(c if c.isprintable() else " " for c in text).split()), _MAX_SUBJECT
    )
