"""The demo's expectations: all hold for a good outage, and each violation is named."""

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


INCIDENT = {
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
        incident=deepcopy(INCIDENT),
        pages=[page("ana"), page("ben")],
        link_page="<form><button>Acknowledge</button></form>",
        incident_after_opening_link={"status": "triggered"},
    )


def failed(evidence: Evidence) -> set[str]:
    return {check.name for check in judge(evidence, SCRIPT) if not check.holds}


def test_a_good_outage_meets_every_expectation() -> None:
    assert failed(good()) == set()


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        ("exactly one incident", lambda e: e.incidents.append({})),
        (
            "priority P1, owned by payments, with reasons",
            lambda e: e.incident.update(priority="P2"),
        ),
        ("41 alerts joined it", lambda e: e.incident["timeline"][2]["detail"].update(signals=40)),
        ("no other signals joined it", lambda e: e.incident.update(signal_count=43)),
        (
            "exactly two pages arrived: ana's, then ben's",
            lambda e: e.pages.append({**page("ben"), "id": "again"}),
        ),
        (
            "reporting shows both as sent",
            lambda e: e.incident["pages"][1].update(outcome="being retried"),
        ),
        ("each page has its own webhook-id", lambda e: e.pages[1].update(id="ana")),
        ("each page's signature is valid", lambda e: e.pages[1].update(signature="invalid")),
        (
            "opening the link changes nothing",
            lambda e: e.incident_after_opening_link.update(status="acknowledged"),
        ),
        ("the link's page has one button", lambda e: setattr(e, "link_page", "")),
        (
            "acknowledged by ben, by link",
            lambda e: e.incident["timeline"][3]["detail"].update(via="api"),
        ),
        (
            "resolved by its source",
            lambda e: e.incident["timeline"][4]["detail"].update(via="link", by="ben"),
        ),
        ("both times are known", lambda e: e.incident.update(time_to_acknowledge_seconds=None)),
        (
            "the deployment precedes the incident",
            lambda e: e.incident["timeline"][0].update(at="2026-01-06T09:01Z"),
        ),
        (
            "the pages carry the trace",
            lambda e: e.pages[0]["body"]["data"].update(trace_id="f" * 32),
        ),
        ("every event is in the trace", lambda e: e.incident["timeline"][2].update(trace_id=None)),
    ],
)
def test_a_violation_is_named(name: str, spoil: Callable[[Evidence], None]) -> None:
    evidence = good()
    spoil(evidence)
    assert failed(evidence) == {name}


def test_without_an_incident_only_its_absence_is_reported() -> None:
    assert failed(Evidence()) == {"exactly one incident"}
