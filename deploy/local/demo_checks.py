"""What must be true once the demo's outage is over. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from deploy.local.demo_outage import REPEATS, Evidence, Json, Script


@dataclass(frozen=True)
class Check:
    """An expectation by name, whether it holds, and what was found instead."""

    name: str
    holds: bool
    found: object = ""


def judge(evidence: Evidence, script: Script) -> list[Check]:
    """Every expectation; empty evidence fails the first of them and is asked nothing more."""
    one = Check(
        "one incident, and one only",
        len(evidence.incidents) == 1,
        f"{len(evidence.incidents)} incidents",
    )
    if not evidence.story:
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
    story = evidence.story
    verdict = (story["priority"], story["team"])
    yield Check(
        "priority P1, owned by payments, with reasons",
        verdict == ("P1", "payments") and bool(reasons(story)),
        verdict,
    )
    counts = [entry["detail"].get("signals") for entry in _entries(story, "IncidentUpdated")]
    yield Check(f"{REPEATS + 1} alerts joined it", REPEATS + 1 in counts, f"counts {counts}")
    total = story["signal_count"]
    yield Check("nothing else did", total == REPEATS + 1, f"{total} signals")


def _pages(evidence: Evidence) -> Iterable[Check]:
    pages, told = evidence.pages, evidence.story["pages"]
    arrived = [page["to"] for page in pages]
    yield Check(
        "exactly two pages arrived: ana's, then ben's",
        arrived == ["/pages/ana", "/pages/ben"],
        arrived,
    )
    reported = [(page["user"], page["step"], page["outcome"]) for page in told]
    yield Check("both are reported", reported == [("ana", 1, "sent"), ("ben", 2, "sent")], reported)
    ids = [page["id"] for page in pages]
    yield Check(
        "each page has a webhook-id of its own", all(ids) and len(set(ids)) == len(ids), ids
    )
    signatures = [page["signature"] for page in pages]
    yield Check("each page's signature is valid", set(signatures) == {"valid"}, signatures)


def _response(evidence: Evidence) -> Iterable[Check]:
    story, looked = evidence.story, evidence.story_after_look
    status = looked.get("status")
    yield Check("looking at the link changes nothing", status == "triggered", status)
    buttons = evidence.link_page.count("<button")
    yield Check("the link's page has one button", buttons == 1, f"{buttons} buttons")
    acknowledged = _acts(story, "IncidentAcknowledged")
    yield Check("acknowledged by ben, by link", acknowledged == [("ben", "link")], acknowledged)
    resolved = _acts(story, "IncidentResolved")
    yield Check("resolved by its source", resolved == [("source", "source")], resolved)
    times = (story["time_to_acknowledge_seconds"], story["time_to_resolve_seconds"])
    yield Check("both times are known", None not in times and 0 < times[0] <= times[1], times)


def _change(evidence: Evidence, script: Script) -> Check:
    before = [
        entry["title"]
        for entry in _entries(evidence.story, "ChangeRecorded")
        if entry["at"] <= evidence.story["opened_at"]
    ]
    ours = [title for title in before if script.version in title]
    return Check("the deployment stands before the incident", len(ours) == 1, before)


def _trace(evidence: Evidence, script: Script) -> Iterable[Check]:
    in_pages = {
        page["body"]["data"]["trace_id"] for page in evidence.pages if page["channel"] == "webhook"
    }
    yield Check("the pages carry our trace", in_pages == {script.trace_id}, in_pages)
    timeline = {
        entry["trace_id"]
        for entry in evidence.story["timeline"]
        if entry["type"] != "ChangeRecorded"
    }
    everywhere = timeline | {evidence.story["trace_id"]}
    yield Check("every event is in our trace", everywhere == {script.trace_id}, everywhere)


def reasons(story: Json) -> list[str]:
    """Why the priority and the owner are what they are."""
    return [
        reason
        for entry in _entries(story, "IncidentTriaged")
        for reason in entry["detail"].get("reasons", [])
    ]


def _acts(story: Json, kind: str) -> list[tuple[str, str]]:
    return [
        (entry["detail"].get("by"), entry["detail"].get("via")) for entry in _entries(story, kind)
    ]


def _entries(story: Json, kind: str) -> list[Json]:
    return [entry for entry in story["timeline"] if entry["type"] == kind]
