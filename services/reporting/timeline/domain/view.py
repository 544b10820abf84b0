"""All that is known of one incident, put together for a reader."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from services.reporting.timeline.domain.durations import format_offset
from services.reporting.timeline.domain.entries import TimelineEntry
from services.reporting.timeline.domain.state import Incident, newest_report, summarise
from shared.events.escalation import Page
from shared.events.intake import Change, ReportedIncident
from shared.events.reporting import IncidentSummary

CONTEXT = timedelta(hours=24)
"""A change of the same service is shown if it was made at most this long before the incident."""


class PageOutcome(StrEnum):
    """The result of a page so far."""

    SENT = "sent"
    RETRYING = "being retried"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class PageView:
    """A page and its outcome. `error` is that of the last attempt that failed."""

    page: Page
    outcome: PageOutcome
    sent_at: datetime | None
    error: str | None


@dataclass(frozen=True, slots=True)
class IncidentView:
    """One incident. `timeline` is in order of time, and `omitted` entries are left out of it. The
    durations begin at the opening; None while they last.
    """

    incident: IncidentSummary
    report: ReportedIncident | None
    reasons: Sequence[str]
    waiting_on: str | None
    runbook: str | None
    timeline: Sequence[TimelineEntry]
    omitted: int
    pages: Sequence[PageView]
    time_to_acknowledge: timedelta | None
    time_to_resolve: timedelta | None
    trace_url: str | None = None


def make_view(
    incident: Incident,
    entries: Sequence[TimelineEntry],
    omitted: int,
    changes: Sequence[Change],
    trace_template: str | None,
) -> IncidentView:
    """`omitted` counts the entries that are left out; `trace_template` is an address that contains
    {trace_id}.
    """
    state, response, triaged = summarise(incident), incident.response, incident.triaged
    timeline = [*entries, *(_change_entry(change, state) for change in changes)]
    return IncidentView(
        incident=state,
        report=newest_report(incident),
        reasons=triaged.reasons if triaged else [],
        waiting_on=response.waiting_on or None if response else None,
        runbook=triaged.runbook if triaged else None,
        timeline=sorted(timeline, key=lambda entry: (entry.at, entry.sequence)),
        omitted=omitted,
        pages=_pages(entries),
        time_to_acknowledge=_between(state.opened_at, state.acknowledged_at),
        time_to_resolve=_between(state.opened_at, state.resolved_at),
        trace_url=_trace_url(trace_template, state.trace_id),
    )


def _trace_url(template: str | None, trace_id: str | None) -> str | None:
    return template.replace("{trace_id}", trace_id) if template and trace_id else None


def _between(start: datetime | None, end: datetime | None) -> timedelta | None:
    return end - start if start and end else None


def _change_entry(change: Change, incident: IncidentSummary) -> TimelineEntry:
    """A change of the same service, as context: near in time, which makes it no cause."""
    offset = format_offset(change.made_at, incident.opened_at or change.made_at)
    version = f" {change.version}" if change.version else ""
    return TimelineEntry(
        incident_id=incident.incident_id,
        producer="change",
        sequence=0,
        at=change.made_at,
        type="ChangeRecorded",
        title=f"{change.kind.capitalize()}{version}: {change.summary} ({offset} the incident)",
        detail={"source": change.source, "service": change.service, "links": change.links},
        trace_id=None,
        span_id=None,
    )


def _pages(entries: Sequence[TimelineEntry]) -> list[PageView]:
    """One view per page, in the order in which they were first attempted; each shows the result of
    the newest attempt.
    """
    pages: dict[str, PageView] = {}
    for entry in sorted(entries, key=lambda entry: entry.sequence):
        if entry.type in ("PageSent", "PageFailed"):
            key = entry.detail["attempt_key"]
            pages[key] = _page(entry, pages.get(key))
    return list(pages.values())


def _page(entry: TimelineEntry, before: PageView | None) -> PageView:
    detail, sent = entry.detail, entry.detail.get("sent_at")
    failed = PageOutcome.FAILED if detail.get("final") else PageOutcome.RETRYING
    return PageView(
        page=Page.model_validate({"why": [], **detail}),  # entries leave out what is empty
        outcome=PageOutcome.SENT if sent else failed,
        sent_at=datetime.fromisoformat(sent) if sent else None,
        error=detail.get("error", before.error if before else None),
    )
