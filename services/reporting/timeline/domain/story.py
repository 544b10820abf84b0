"""All there is to say of one incident, put together for a reader."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from services.reporting.timeline.domain.state import Incident, known_report, summarise
from services.reporting.timeline.domain.timeline import Entry
from services.reporting.timeline.domain.words import apart
from shared.events.intake import Change, ReportedIncident
from shared.events.reporting import IncidentSummary

CONTEXT = timedelta(hours=24)
"""How long before an incident a change of the same service is still worth showing."""

Outcome = Literal["sent", "being retried", "failed"]


@dataclass(frozen=True, slots=True)
class PageView:
    """One page and what became of it. `why` says how the policy came to this person."""

    user: str
    method: str
    step: int
    round: int
    why: list[str]
    attempts: int = 0
    outcome: Outcome = "being retried"
    sent_at: datetime | None = None
    error: str | None = None
    possible_duplicate: bool = False


@dataclass(frozen=True, slots=True)
class Story:
    """One incident. `timeline` is in order of time, less `untold` entries; the durations are from
    the opening, None while they still run.
    """

    incident: IncidentSummary
    report: ReportedIncident | None
    waiting_on: str | None
    runbook: str | None
    timeline: Sequence[Entry]
    untold: int
    pages: Sequence[PageView]
    time_to_acknowledge: timedelta | None
    time_to_resolve: timedelta | None
    trace_url: str | None = None


def tell(
    incident: Incident,
    entries: Sequence[Entry],
    untold: int,
    changes: Sequence[Change],
    trace_template: str | None,
) -> Story:
    """The story from what is stored. `untold` counts entries left out, `trace_template` has
    {trace_id} in it.
    """
    state = summarise(incident)
    told = [*entries, *(_as_entry(change, state) for change in changes)]
    return Story(
        incident=state,
        report=known_report(incident),
        waiting_on=incident.response.waiting_on or None if incident.response else None,
        runbook=incident.triaged.runbook if incident.triaged else None,
        timeline=sorted(told, key=lambda entry: (entry.at, entry.sequence)),
        untold=untold,
        pages=_pages(entries),
        time_to_acknowledge=_between(state.opened_at, state.acknowledged_at),
        time_to_resolve=_between(state.opened_at, state.resolved_at),
        trace_url=trace_template.replace("{trace_id}", state.trace_id)
        if trace_template and state.trace_id
        else None,
    )


def _between(start: datetime | None, end: datetime | None) -> timedelta | None:
    return end - start if start and end else None


def _as_entry(change: Change, incident: IncidentSummary) -> Entry:
    """A change of the same service, as context: a coincidence in time, not a verdict."""
    opened = incident.opened_at or change.made_at
    version = f" {change.version}" if change.version else ""
    title = f"{change.kind.capitalize()}{version}: {change.summary} ({apart(change.made_at, opened)} the incident)"
    detail = {"source": change.source, "service": change.service, "links": change.links}
    return Entry(
        incident.incident_id,
        "change",
        0,
        change.made_at,
        "ChangeRecorded",
        title,
        detail,
        None,
        None,
    )


def _pages(entries: Sequence[Entry]) -> list[PageView]:
    """One view a page, in the order of their first news; a later event of the same page says how it
    stands now.
    """
    pages: dict[str, PageView] = {}
    for entry in sorted(entries, key=lambda entry: entry.sequence):
        if entry.type in ("PageSent", "PageFailed"):
            key = entry.detail["attempt_key"]
            pages[key] = _page(entry, pages.get(key))
    return list(pages.values())


def _page(entry: Entry, before: PageView | None) -> PageView:
    detail = entry.detail
    sent = detail.get("sent_at")
    failed: Outcome = "failed" if detail.get("final") else "being retried"
    return PageView(
        user=detail["user"],
        method=detail["method"],
        step=detail["step"],
        round=detail["round"],
        why=detail.get("why", []),
        attempts=detail.get("attempts", 0),
        outcome="sent" if sent else failed,
        sent_at=datetime.fromisoformat(sent) if sent else None,
        error=detail.get("error", before.error if before else None),
        possible_duplicate=bool(detail.get("possible_duplicate")),
    )
