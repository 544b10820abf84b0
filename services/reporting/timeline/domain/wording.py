"""Facts in words: the title and the details of a timeline's entry.

A new fact needs its text here and nowhere else in reporting.
"""

from typing import assert_never

from shared.events import escalation, intake, triage
from shared.events.facts import Fact

Detail = dict[str, str | int | bool | list[str] | None]
Words = tuple[str, Detail]
"""The title, and the details by name; those that are empty are not shown."""
ResponseFact = (
    escalation.ResponseStarted
    | escalation.IncidentEscalated
    | escalation.PageSent
    | escalation.PageFailed
    | escalation.IncidentAcknowledged
    | escalation.IncidentResolved
)
_VIA = {
    "api": "by the API",
    "topic": "by a command",
    "link": "by link",
    "source": "at the source",
    "reclassification": "by reclassifying it",
}


def describe(fact: Fact) -> Words:
    """The fact in words; one without words is described by its name."""
    if isinstance(fact, intake.IncidentNews):
        return _describe_news(fact)
    if isinstance(fact, triage.TriageFact):
        return _describe_triage(fact)
    if isinstance(fact, ResponseFact):
        return _describe_response(fact)
    return type(fact).__name__, {}


def _describe_news(fact: intake.IncidentNews) -> Words:
    incident = fact.incident
    counts: Detail = {
        "signals": incident.signal_count,
        "alerts_firing": incident.alerts_firing,
        "alerts": [f"{one.summary} ({one.status})" for one in incident.alerts],
        "alerts_unlisted": incident.alerts_unlisted or None,
    }
    match fact:
        case intake.IncidentReported():
            return f"Reported: {incident.summary}", {
                "severity": incident.severity,
                "severity_reason": incident.severity_reason,
                "source": incident.source,
                "flapping": "it began often lately: it stays open until it is calm"
                if incident.flapping
                else None,
                "alerts": counts["alerts"],
            }
        case intake.IncidentUpdated(changed=changed):
            signals = f"{incident.signal_count} signal{'s' if incident.signal_count != 1 else ''}"
            return f"More was reported: {signals} so far", {**counts, "changed": changed}
        case intake.IncidentCleared(reason=reason):
            silent = reason == intake.EXPIRED
            return f"Cleared: {'no signal from the source since' if silent else reason}", counts
        case intake.IncidentReclassified():
            title = f"{incident.kind_by} said: it is a {incident.kind}, no incident"
            return title, {"note": incident.kind_note, "logged_as": str(fact.logged_as)}
        case _:
            assert_never(fact)


def _describe_triage(fact: triage.TriageFact) -> Words:
    decided = fact.triage
    decision = f"{decided.priority}, owned by {decided.team}"
    grounds: Detail = {
        "impact": decided.impact,
        "urgency": decided.urgency,
        "reasons": decided.reasons,
        "runbook": decided.runbook,
        "policy_version": decided.policy_version,
    }
    match fact:
        case triage.IncidentTriaged():
            return f"Triaged: {decision}", grounds
        case triage.IncidentReprioritised(changed=changed):
            return f"Now {decision}", {**grounds, "changed": changed}
        case triage.TriageConfirmed():
            seen = f"signal event {decided.intake_sequence}"
            return f"Triage confirmed: {decision}", {"seen_until": seen}
        case triage.IncidentSubsided():
            return "Triage noted that it cleared", {}
        case triage.IncidentWithdrawn():
            return "Triage withdrew it: it is no incident", {}
        case _:
            assert_never(fact)


def _describe_response(fact: ResponseFact) -> Words:
    response = fact.response
    match fact:
        case escalation.ResponseStarted(plan=plan):
            title = f"Response started: {response.priority} for team {response.team}"
            return title, {"plan": plan, "policy_version": response.policy_version}
        case escalation.IncidentEscalated(paged=paged, skipped=skipped):
            whom = f"paging {' and '.join(paged)}" if paged else "nobody"
            return f"Step {response.step}: {whom}", {
                "round": response.round,
                "skipped": skipped,
                "waiting_on": response.waiting_on,
            }
        case escalation.PageSent() | escalation.PageFailed():
            return _describe_page(fact)
        case escalation.IncidentAcknowledged(by=by, via=via, cut=cancelled):
            return f"Acknowledged by {by} {_via(via)}", {"by": by, "via": via, "cut": cancelled}
        case escalation.IncidentResolved(by=by, via=via, cut=cancelled):
            at_source = via == "source"
            title = "cleared at the source" if at_source else f"by {by} {_via(via)}"
            return f"Resolved{': ' if at_source else ' '}{title}", {
                "by": by,
                "via": via,
                "note": response.resolution,
                "cut": cancelled,
            }
        case _:
            assert_never(fact)


def _describe_page(fact: escalation.PageSent | escalation.PageFailed) -> Words:
    page = fact.page
    detail: Detail = page.model_dump(mode="json")
    match fact:
        case escalation.PageSent(sent_at=sent_at):
            title = f"Paged {page.user} by {page.method}"
            return title, {**detail, "sent_at": sent_at.isoformat()}
        case escalation.PageFailed(error=error, final=final):
            follows = "given up" if final else "will be tried again"
            title = f"The page to {page.user} by {page.method} failed, {follows}"
            return title, {**detail, "error": error, "final": final}
        case _:
            assert_never(fact)


def _via(via: str) -> str:
    return _VIA.get(via, f"by {via}")  # a newer escalation may know other ways
