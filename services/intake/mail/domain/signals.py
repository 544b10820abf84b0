"""The signal in a mail."""

import hashlib
from datetime import datetime

from services.intake.mail.domain.message import Mail
from services.intake.mail.domain.subjects import read_subject
from services.intake.signals.domain import AlertData, Signal
from shared.events.text import shorten

SCOPE = "mail"
"""Of keys, as the name of a gateway is for HTTP."""
_MAX_KEY = 255
_MAX_TEXT = 4096


def signal_in(mail: Mail, integration: str, secret: str, received_at: datetime) -> Signal:
    """The alert that an integration sends by a mail. `secret`, by which the mail was addressed, is
    kept nowhere.
    """
    subject = mail.subject.replace(secret, "…").strip()
    text = mail.text.replace(secret, "…")
    said = read_subject(subject, text)
    labels = {"from": mail.sender} | said.labels
    return Signal(
        origin=f"{integration} {SCOPE}",
        signal_id=_within(mail.message_id),
        sent_at=received_at,
        received_at=received_at,
        trace=None,
        data=AlertData(
            status=said.status,
            summary=shorten(subject or f"a mail without a subject from {mail.sender}", 1024),
            severity=said.severity,
            key=_within(said.key or mail.sender or "mail"),
            labels={name: shorten(value, _MAX_TEXT) for name, value in labels.items() if value},
            annotations={"text": shorten(text, _MAX_TEXT)} if text else {},
        ),
    )


def _within(text: str) -> str:
    """A text as short as a name may be: a long one ends in a hash of the whole."""
    if len(text) <= _MAX_KEY:
        return text
    return f"{text[: _MAX_KEY - 65]} {hashlib.sha256(text.encode()).hexdigest()}"
