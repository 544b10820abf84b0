"""What must hold once the demo's outage is over. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from deploy.local.demo_outage import REPEATS, Evidence, Json, Script


@dataclass(frozen=True)
class Check:
    """A named expectation, whether it holds, and what was found."""

    name: str
    holds: bool
    found: object = ""


def judge(evidence: Evidence, script: Script) -> list[Check]:
    """Check every expectation. Without an incident only the first is checked, and fails."""
    one = Check(
        "exactly one incident", len(evidence.incidents) == 1, f"{len(evidence.incidents)} incidents"
    )
    if not evidence.incident:
        return [one]
    return [
        one,
        *_state(evidence),
        *_pages(evidence),
        *_response(evidence),
        _change(evidence, script),
        *_trace(evidence, script),
    ]


def _state(evidence: Evidence) -> Iterable[Check]:
    incident = evidence.incident
    triaged = (incident["priority"], incident["team"])
    yield Check(
        "priority P1, owned by payments, with reasons",
        triaged == ("P1", "payments") and bool(reasons(incident)),
        triaged,
    )
    counts = [entry["detail"].get("signals") for entry in _entries(incident, "IncidentUpdated")]
    yield Check(f"{REPEATS + 1} alerts joined it", REPEATS + 1 in counts, f"counts {counts}")
    total = incident["signal_count"]
    yield Check("no other signals joined it", total == REPEATS + 1, f"{total} signals")


def _pages(evidence: Evidence) -> Iterable[Check]:
    pages = evidence.pages
    arrived = [page["to"] for page in pages]
    yield Check(
        "exactly two pages arrived: ana's, then ben's",
        arrived == ["/pages/ana", "/pages/ben"],
        arrived,
    )
    shown = evidence.incident["pages"]
    reported = [(page["user"], page["step"], page["outcome"]) for page in shown]
    yield Check(
        "reporting shows both as sent",
        reported == [("ana", 1, "sent"), ("ben", 2, "sent")],
        reported,
    )
    ids = [page["id"] for page in pages]
    yield Check("each page has its own webhook-id", all(ids) and len(set(ids)) == len(ids), ids)
    signatures = [page["signature"] for page in pages]
    yield Check("each page's signature is valid", set(signatures) == {"valid"}, signatures)


def _response(evidence: Evidence) -> Iterable[Check]:
    incident = evidence.incident
    status = evidence.incident_after_opening_link.get("status")
    yield Check("opening the link changes nothing", status == "triggered", status)
    buttons = evidence.link_page.count("<button")
    yield Check("the link's page has one button", buttons == 1, f"{buttons} buttons")
    acknowledged = _acts(incident, "IncidentAcknowledged")
    yield Check("acknowledged by ben, by link", acknowledged == [("ben", "link")], acknowledged)
    resolved = _acts(incident, "IncidentResolved")
    yield Check("resolved by its source", resolved == [("source", "source")], resolved)
    times = (incident["time_to_acknowledge_seconds"], incident["time_to_resolve_seconds"])
    yield Check("both times are known", None not in times and 0 < times[0] <= times[1], times)


def _change(evidence: Evidence, script: Script) -> Check:
    before = [
        entry["title"]
        for entry in _entries(evidence.incident, "ChangeRecorded")
        if entry["at"] <= evidence.incident["opened_at"]
    ]
    deployed = [title for title in before if script.version in title]
    return Check("the deployment precedes the incident", len(deployed) == 1, before)


def _trace(evidence: Evidence, script: Script) -> Iterable[Check]:
    in_pages = {
        page["body"]["data"]["trace_id"] for page in evidence.pages if page["channel"] == "webhook"
    }
    yield Check("the pages carry the trace", in_pages == {script.trace_id}, in_pages)
    timeline = {
        entry["trace_id"]
        for entry in evidence.incident["timeline"]
        if entry["type"] != "ChangeRecorded"
    }
    everywhere = timeline | {evidence.incident["trace_id"]}
    yield Check("every event is in the trace", everywhere == {script.trace_id}, everywhere)


def reasons(incident: Json) -> list[str]:
    """The reasons for the priority and the owner."""
    triaged = _entries(incident, "IncidentTriaged")
    return [reason for entry in triaged for reason in entry["detail"].get("reasons", [])]


def _acts(incident: Json, kind: str) -> list[tuple[str, str]]:
    return [
        (entry["detail"].get("by"), entry["detail"].get("via"))
        for entry in _entries(incident, kind)
    ]


def _entries(incident: Json, kind: str) -> list[Json]:
    return [entry for entry in incident["timeline"] if entry["type"] == kind]
