"""The demo's expectations: all hold of a good outage, and each breach is named."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from deploy.local.demo_checks import judge
from deploy.local.demo_outage import Evidence, Script

SCRIPT = Script(version="2.14.0-abc", trace_id="4bf92f3577b34da6a3ce929d0e0e4736")


def entry(
    kind: str, title: str = "", at: str = "2026-01-06T09:00:00Z", **detail: Any
) -> dict[str, Any]:
    return {"type": kind, "title": title, "at": at, "detail": detail, "trace_id": SCRIPT.trace_id}


def page(user: str) -> dict[str, Any]:
    data = {"trace_id": SCRIPT.trace_id}
    return {
        "to": f"/pages/{user}",
        "id": user,
        "signature": "valid",
        "channel": "webhook",
        "body": {"data": data},
    }


STORY = {
    "priority": "P1",
    "team": "payments",
    "status": "resolved",
    "signal_count": 41,
    "opened_at": "2026-01-06T09:00:00Z",
    "time_to_acknowledge_seconds": 11.0,
    "time_to_resolve_seconds": 12.0,
    "trace_id": SCRIPT.trace_id,
    "pages": [
        {"user": "ana", "step": 1, "outcome": "sent"},
        {"user": "ben", "step": 2, "outcome": "sent"},
    ],
    "timeline": [
        entry("ChangeRecorded", f"Deployment {SCRIPT.version}", "2026-01-06T08:59:00Z"),
        entry("IncidentTriaged", reasons=["checkout is tier 1"]),
        entry("IncidentUpdated", signals=41),
        entry("IncidentAcknowledged", by="ben", via="link"),
        entry("IncidentResolved", by="source", via="source"),
    ],
}


def good() -> Evidence:
    return Evidence(
        incidents=[{}],
        story=deepcopy(STORY),
        pages=[page("ana"), page("ben")],
        link_page="<form><button>Acknowledge</button></form>",
        story_after_look={"status": "triggered"},
    )


def broken(evidence: Evidence) -> set[str]:
    return {check.name for check in judge(evidence, SCRIPT) if not check.holds}


def test_a_good_outage_breaks_nothing() -> None:
    assert broken(good()) == set()


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        ("one incident, and one only", lambda e: e.incidents.append({})),
        ("priority P1, owned by payments, with reasons", lambda e: e.story.update(priority="P2")),
        ("41 alerts joined it", lambda e: e.story["timeline"][2]["detail"].update(signals=40)),
        ("nothing else did", lambda e: e.story.update(signal_count=43)),
        (
            "exactly two pages arrived: ana's, then ben's",
            lambda e: e.pages.append({**page("ben"), "id": "again"}),
        ),
        ("both are reported", lambda e: e.story["pages"][1].update(outcome="being retried")),
        ("each page has a webhook-id of its own", lambda e: e.pages[1].update(id="ana")),
        ("each page's signature is valid", lambda e: e.pages[1].update(signature="invalid")),
        (
            "looking at the link changes nothing",
            lambda e: e.story_after_look.update(status="acknowledged"),
        ),
        ("the link's page has one button", lambda e: setattr(e, "link_page", "")),
        (
            "acknowledged by ben, by link",
            lambda e: e.story["timeline"][3]["detail"].update(via="api"),
        ),
        (
            "resolved by its source",
            lambda e: e.story["timeline"][4]["detail"].update(via="link", by="ben"),
        ),
        ("both times are known", lambda e: e.story.update(time_to_acknowledge_seconds=None)),
        (
            "the deployment stands before the incident",
            lambda e: e.story["timeline"][0].update(at="2026-01-06T09:01Z"),
        ),
        (
            "the pages carry our trace",
            lambda e: e.pages[0]["body"]["data"].update(trace_id="f" * 32),
        ),
        ("every event is in our trace", lambda e: e.story["timeline"][2].update(trace_id=None)),
    ],
)
def test_a_breach_is_named(name: str, spoil: Callable[[Evidence], None]) -> None:
    evidence = good()
    spoil(evidence)
    assert broken(evidence) == {name}


def test_without_a_story_the_missing_incident_is_named() -> None:
    assert broken(Evidence()) == {"one incident, and one only"}
