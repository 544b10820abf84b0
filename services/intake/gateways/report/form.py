"""What a person reports, and the signal that it becomes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from difflib import SequenceMatcher
from typing import Annotated, Any, Literal
from urllib.parse import parse_qsl
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from services.intake.gateways.gateway import Submission
from services.intake.signals.domain import AlertData, Group, KnownAlert, Signal
from services.intake.signals.domain.bounds import within_bounds
from shared.events.malformed import Malformed
from shared.events.validation import plain_reason

MAX_BODY_BYTES = 32 * 1024
GROUP = "report_group"
"""The annotation that names the group of a report: those of one group are one incident."""
_MAX_FIELDS = 20
_MAX_COMPARED = 200
_MAX_SIMILAR = 5
_ALIKE = 0.5  # of 1; below, two summaries share little but common words

_WORDS = r"^[^\x00]*$"
_Line = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200, pattern=_WORDS)]
_Lines = Annotated[str, StringConstraints(strip_whitespace=True, max_length=4000, pattern=_WORDS)]


class Report(BaseModel):
    """Something is wrong, says a person."""

    model_config = ConfigDict(extra="ignore")

    what: Annotated[_Line, Field(min_length=1, description="what is wrong, in one line")]
    service: _Line = Field(default="", description="name in the service catalogue")
    since: int = Field(default=0, ge=0, le=10_080, description="for how many minutes")
    severity: Literal["critical", "error", "warning", "info"] = "error"
    who: _Line = Field(default="", description="who reports, and how to reach them")
    details: _Lines = ""
    join: UUID | Literal["", "new"] = Field(
        default="", description="the open incident that this is one more report of, or `new`"
    )
    ticket: UUID | None = Field(
        default=None, description="the same when a report is sent again; random, and kept secret"
    )


@dataclass(frozen=True, slots=True)
class Faulty(Exception):
    """A form that cannot be taken: what is wrong, by the field."""

    faults: Mapping[str, str]


def read_form(body: bytes) -> dict[str, str]:
    """The fields of a form. Raises Malformed."""
    try:
        text = body.decode()
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=_MAX_FIELDS))
    except ValueError:
        reason = f"must be a form in UTF-8 with at most {_MAX_FIELDS} fields"
        raise Malformed("body", reason) from None


def read_report(fields: Any) -> Report:
    """Raises Faulty."""
    try:
        return Report.model_validate(fields)
    except ValidationError as error:
        faults: dict[str, str] = {}
        for one in error.errors():
            name = str(one["loc"][0]) if one["loc"] else "body"
            faults.setdefault(name, plain_reason(one))
        raise Faulty(faults) from None


def origin_of(submission: Submission) -> str:
    """Whose reports these are."""
    return f"{submission.integration.name} report"


def similar(report: Report, known: Sequence[KnownAlert]) -> list[KnownAlert]:
    """The newest report of each open incident of the same service that reads alike, the most alike
    first. A report without a service is compared with all.
    """
    newest = {one.incident_id: one for one in known if one.status != "resolved"}
    near = [one for one in newest.values() if not report.service or _same_service(report, one)]
    matcher = SequenceMatcher(None, "", _sorted_words(report.what), autojunk=False)
    scored = []
    for one in near[-_MAX_COMPARED:]:
        matcher.set_seq1(_sorted_words(one.summary[:200]))
        if matcher.quick_ratio() >= _ALIKE and (score := matcher.ratio()) >= _ALIKE:
            scored.append((score, one))
    scored.sort(key=lambda pair: -pair[0])
    return [one for _, one in scored[:_MAX_SIMILAR]]


def _same_service(report: Report, one: KnownAlert) -> bool:
    return not one.service or one.service.casefold() == report.service.casefold()


def _sorted_words(text: str) -> str:
    return " ".join(sorted(text.casefold().split()))


def as_signal(report: Report, ticket: UUID, group: UUID, submission: Submission) -> Signal:
    """The signal of a report. `group` is that of the incident it joins, or one of its own."""
    at = submission.received_at
    data = AlertData(
        summary=report.what,
        service=report.service or None,
        severity=report.severity,
        key=str(ticket),
        description=report.details or None,
        annotations={GROUP: str(group)} | ({"reporter": report.who} if report.who else {}),
        starts_at=at - timedelta(minutes=report.since),
    )
    return Signal(
        origin_of(submission),
        str(ticket),
        at,
        at,
        submission.trace,
        within_bounds(data),
        Group(key=str(group), is_told=False),
    )
