"""How a report goes on, in words for the person who made it."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel

from services.intake.signals.domain import KnownAlert

_WORDS = {
    "firing": ("Your report has been received", "It is open. Nobody has said yet that it is over."),
    "acknowledged": ("Somebody is working on it", "It is known and being worked on."),
    "resolved": ("It is over", "If you still see the problem, please report it again."),
}


class Progress(BaseModel):
    """The state of a report: nothing about who works on it, or where."""

    status: Literal["firing", "acknowledged", "resolved"]
    headline: str
    explanation: str
    what: str
    since: datetime
    number: int


def progress_of(alert: KnownAlert) -> Progress:
    """What its reporter may know."""
    headline, explanation = _WORDS[alert.status]
    return Progress(
        status=alert.status,
        headline=headline,
        explanation=explanation,
        what=alert.summary,
        since=alert.started_at,
        number=alert.number,
    )
