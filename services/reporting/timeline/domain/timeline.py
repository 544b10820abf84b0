"""An incident's history in words: one entry an event."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from shared.events import escalation, intake, triage
from shared.events.facts import Event, Fact
from shared.events.text import shorten

_MAX_TITLE = 300
_VIA = {"api": "by the API", "topic": "by a command", "link": "by link", "source": "at the source"}
Detail = dict[str, str | int | bool | list[str] | None]


@dataclass(frozen=True, slots=True)
class Entry:
    """What happened: `title` in words, `detail` by field name (texts, numbers, lists of texts)."""

    incident_id: UUID
    producer: str
    sequence: int
    at: datetime
    type: str
    title: str
    detail: Mapping[str, Any]
    trace_id: str | None
    span_id: str | None


def entry(event: Event) -> Entry:
    """The timeline's entry of an event that carries an incident's state."""
    _, producer, kind = event.type.split(".")
    title, detail = _words(event.data)
    return Entry(
        incident_id=event.subject,
        producer=producer,
        sequence=event.sequence,
        at=event.time,
        type=kind,
        title=shorten(title, _MAX_TITLE),
        detail={
            name: value for name, value in detail.items() if value not in (None, [], "", False)
        },
        trace_id=event.trace.trace_id if event.trace else None,
        span_id=event.trace.traceparent.split("-")[2] if event.trace else None,
    )


def _words(fact: Fact) -> tuple[str, Detail]:
    if isinstance(fact, intake.IncidentNews):
        return _of_intake(fact)
    if isinstance(fact, triage.TriageFact):
        return _of_triage(fact)
    match fact:
        case escalation.PageSent() | escalation.PageFailed():
            return _of_page(fact)
        case escalation.IncidentAcknowledged(by=by, via=via, cut=cut):
            return f"Acknowledged by {by} {_via(via)}", {"by": by, "via": via, "cut": cut}
        case escalation.IncidentResolved(by=by, via=via, cut=cut, response=response):
            title = (
                "Resolved: cleared at the source"
                if via == "source"
                else f"Resolved by {by} {_via(via)}"
            )
            return title, {"by": by, "via": via, "note": response.resolution, "cut": cut}
        case escalation.ResponseStarted(response=response, plan=plan):
            title = f"Response started: {response.priority} for team {response.team}"
            return title, {"plan": plan, "policy_version": response.policy_version}
        case escalation.IncidentEscalated(response=response, paged=paged, skipped=skipped):
            title = (
                f"Step {response.step}: paging {' and '.join(paged)}"
                if paged
                else f"Step {response.step}: nobody"
            )
            return title, {
                "round": response.round,
                "skipped": skipped,
                "waiting_on": response.waiting_on,
            }
    return type(fact).__name__, {}


def _via(via: str) -> str:
    return _VIA.get(via, f"by {via}")  # a newer escalation may know other ways


def _of_intake(fact: intake.IncidentNews) -> tuple[str, Detail]:
    incident = fact.incident
    counts: Detail = {"signals": incident.signal_count, "alerts_firing": incident.alerts_firing}
    match fact:
        case intake.IncidentReported():
            return f"Reported: {incident.summary}", {
                "severity": incident.severity,
                "severity_reason": incident.severity_reason,
                "source": incident.source,
            }
        case intake.IncidentUpdated(changed=changed):
            signals = (
                "1 signal" if incident.signal_count == 1 else f"{incident.signal_count} signals"
            )
            return f"More was reported: {signals} so far", {**counts, "changed": changed}
        case intake.IncidentCleared(reason=reason):
            ended = (
                "resolved at the source"
                if reason == "resolved at the source"
                else "no word from the source since"
            )
            return f"Cleared: {ended}", counts


def _of_triage(fact: triage.TriageFact) -> tuple[str, Detail]:
    decided = fact.triage
    verdict = f"{decided.priority}, owned by {decided.team}"
    match fact:
        case triage.IncidentTriaged():
            title = f"Triaged: {verdict}"
        case triage.IncidentReprioritised():
            title = f"Now {verdict}"
        case triage.TriageConfirmed():
            return f"Triage stands: {verdict}", {
                "seen_until": f"signal event {decided.intake_sequence}"
            }
        case triage.IncidentSubsided():
            return "Triage saw it clear", {}
    return title, {
        "impact": decided.impact,
        "urgency": decided.urgency,
        "reasons": decided.reasons,
        "runbook": decided.runbook,
        "policy_version": decided.policy_version,
        "changed": fact.changed if isinstance(fact, triage.IncidentReprioritised) else [],
    }


def _of_page(fact: escalation.PageSent | escalation.PageFailed) -> tuple[str, Detail]:
    page = fact.page
    detail: Detail = {**page.model_dump(mode="json")}
    if isinstance(fact, escalation.PageSent):
        return f"Paged {page.user} by {page.method}", {
            **detail,
            "sent_at": fact.sent_at.isoformat(),
        }
    follows = "given up" if fact.final else "will be tried again"
    return f"The page to {page.user} by {page.method} failed, {follows}", {
        **detail,
        "error": fact.error,
        "final": fact.final,
    }
