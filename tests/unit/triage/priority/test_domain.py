"""How urgent an incident is and whose it is, with the reasons."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from services.triage.catalogue.policy import Catalogue
from services.triage.catalogue.policy.matrix import PriorityRules
from services.triage.priority.domain import State, coalesce, decide, triage
from shared.events.facts import Event, new_event
from shared.events.intake import (
    IncidentCleared,
    IncidentNews,
    IncidentReclassified,
    IncidentReported,
    IncidentUpdated,
    ReportedIncident,
    Severity,
)
from shared.events.triage import (
    IncidentReprioritised,
    IncidentSubsided,
    IncidentTriaged,
    IncidentWithdrawn,
    Priority,
    TriageConfirmed,
)
from shared.policy.files import PolicyFile

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
CATALOGUE = PolicyFile(
    "catalogue.yaml",
    "abc123",
    "",
    Catalogue.model_validate(
        {
            "default_team": "platform",
            "services": {
                "checkout": {
                    "team": "payments",
                    "tier": 1,
                    "runbook": "https://runbooks.example/checkout",
                },
                "search": {"team": "discovery", "tier": 3},
                "probe": {"team": "platform", "tier": 4, "synthetic": "true"},
            },
        }
    ),
)


def incident(**changes: Any) -> ReportedIncident:
    values: dict[str, Any] = {
        "incident_id": UUID(int=1),
        "number": 1000,
        "status": "open",
        "fingerprint": "f",
        "source": "probe",
        "summary": "disk full",
        "severity": Severity.CRITICAL,
        "service": "checkout",
        "signal_count": 1,
        "alerts_firing": 1,
        "started_at": NOON,
        "opened_at": NOON,
        "last_signal_at": NOON,
    }
    return ReportedIncident(**(values | changes))


@pytest.mark.parametrize(
    ("service", "severity", "priority"),
    [
        ("checkout", Severity.CRITICAL, Priority.P1),
        ("checkout", Severity.ERROR, Priority.P2),
        ("checkout", Severity.INFO, Priority.P3),
        ("search", Severity.CRITICAL, Priority.P3),
        ("search", Severity.INFO, Priority.P5),
        ("nowhere", Severity.ERROR, Priority.P3),
    ],
)
def test_impact_times_urgency_is_priority(
    service: str, severity: Severity, priority: Priority
) -> None:
    decided = triage(incident(service=service, severity=severity), 1, CATALOGUE)
    assert decided.priority is priority
    assert (
        f"priority {priority.value}: impact {decided.impact} x urgency {decided.urgency}"
        in decided.reasons
    )


def test_by_default_priority_never_falls_as_impact_or_urgency_rises() -> None:
    order, matrix = ["high", "medium", "low"], PriorityRules().matrix
    grid = [[int(matrix[impact][urgency].value[1]) for urgency in order] for impact in order]
    assert all(row == sorted(row) for row in grid)
    assert all(column == sorted(column) for column in map(list, zip(*grid, strict=True)))


def test_a_teams_own_matrix_decides_and_the_reasons_name_its_levels() -> None:
    catalogue = with_rules(
        {
            "matrix": {
                "whole company": {"now": "P1", "today": "P1"},
                "one team": {"now": "P2", "today": "P4"},
                "nobody": {"now": "P5", "today": "P5"},
            },
            "impact_of_tier": {1: "whole company", 7: "one team"},
            "urgency_of_severity": {
                "critical": "now",
                "error": "now",
                "warning": "today",
                "info": "today",
            },
            "default_impact": "nobody",
        }
    )
    decided = triage(incident(service="wiki", severity=Severity.INFO), 1, catalogue)
    assert (decided.impact, decided.urgency, decided.priority) == ("one team", "today", Priority.P4)
    assert decided.reasons[:3] == [
        "impact one team: wiki is tier 7",
        "urgency today: severity is info",
        "priority P4: impact one team x urgency today",
    ]
    assert triage(incident(service="gone"), 1, catalogue).priority is Priority.P5


def with_rules(rules: dict[str, Any]) -> PolicyFile[Catalogue]:
    services = {"checkout": {"team": "a", "tier": 1}, "wiki": {"team": "b", "tier": 7}}
    content = {"default_team": "platform", "services": services, "priority": rules}
    return PolicyFile("catalogue.yaml", "v", "", Catalogue.model_validate(content))


def test_the_owner_comes_from_the_catalogue_with_its_runbook() -> None:
    decided = triage(incident(), 1, CATALOGUE)
    assert (decided.team, decided.tier, decided.runbook) == (
        "payments",
        1,
        "https://runbooks.example/checkout",
    )
    assert decided.policy_version == "abc123"


@pytest.mark.parametrize(
    ("service", "words"), [("nowhere", "`nowhere` is not in"), (None, "no service was named")]
)
def test_an_unknown_service_goes_to_the_default_owner_and_says_so(
    service: str | None, words: str
) -> None:
    decided = triage(incident(service=service), 1, CATALOGUE)
    assert decided.team == "platform"
    assert not decided.service_known
    assert any(
        reason.startswith("impact medium: ") and words in reason for reason in decided.reasons
    )
    assert any(
        reason.startswith("owner platform: the default") and words in reason
        for reason in decided.reasons
    )


def test_the_reason_of_a_defaulted_severity_is_kept() -> None:
    decided = triage(incident(severity_reason="severity `page` is not known"), 1, CATALOGUE)
    assert "severity `page` is not known" in decided.reasons


def test_the_fact_says_what_the_news_changed() -> None:
    first = incident(severity=Severity.WARNING)
    fact = decide(None, IncidentReported(incident=first), 1, CATALOGUE)
    assert isinstance(fact, IncidentTriaged)
    state = State(fact.triage, 1)
    more = incident(severity=Severity.WARNING, signal_count=9)
    assert isinstance(
        decide(state, IncidentUpdated(incident=more, changed=["signal_count"]), 2, CATALOGUE),
        TriageConfirmed,
    )
    worse = incident(severity=Severity.CRITICAL)
    raised = decide(state, IncidentUpdated(incident=worse, changed=["severity"]), 2, CATALOGUE)
    assert isinstance(raised, IncidentReprioritised)
    assert raised.changed == ["urgency", "priority"]
    over = incident(severity=Severity.WARNING, status="cleared")
    ended = decide(state, IncidentCleared(incident=over, reason="expired"), 2, CATALOGUE)
    assert isinstance(ended, IncidentSubsided)
    assert ended.triage.incident.status == "cleared"
    assert ended.triage.intake_sequence == 2


@pytest.mark.parametrize("moved", [{"severity": Severity.CRITICAL}, {"service": "nowhere"}])
def test_an_incident_that_was_worse_at_its_end_is_decided_once_more(moved: dict[str, Any]) -> None:
    first = incident(severity=Severity.WARNING)
    state = State(triage(first, 1, CATALOGUE), 1)
    over = incident(**({"severity": Severity.WARNING} | moved), status="cleared")
    ended = decide(
        state, IncidentCleared(incident=over, reason="resolved at the source"), 2, CATALOGUE
    )
    assert isinstance(ended, IncidentSubsided)
    assert ended.triage == triage(over, 2, CATALOGUE)
    assert ended.triage.reasons != state.triage.reasons


def test_an_incident_that_clears_keeps_its_decision_although_the_catalogue_has_changed() -> None:
    first = incident(severity=Severity.WARNING)
    state = State(triage(first, 1, CATALOGUE).model_copy(update={"team": "of old"}), 1)
    over = incident(severity=Severity.WARNING, status="cleared")
    ended = decide(state, IncidentCleared(incident=over, reason="expired"), 2, CATALOGUE)
    assert ended
    assert ended.triage.team == "of old"


def test_only_the_catalogue_makes_an_incident_synthetic() -> None:
    decided = triage(incident(service="probe"), 1, CATALOGUE)
    assert decided.synthetic
    assert "synthetic: the catalogue marks probe so" in decided.reasons
    assert not triage(
        incident(labels={"synthetic": "true"}, annotations={"synthetic": "true"}), 1, CATALOGUE
    ).synthetic


def test_a_service_that_becomes_synthetic_changes_the_decision() -> None:
    seen = incident(service="probe")
    real = triage(seen, 1, CATALOGUE).model_copy(update={"synthetic": False})
    more = incident(service="probe", signal_count=2)
    fact = decide(
        State(real, 1), IncidentUpdated(incident=more, changed=["signal_count"]), 2, CATALOGUE
    )
    assert isinstance(fact, IncidentReprioritised)
    assert fact.changed == ["synthetic"]


def test_old_news_changes_nothing() -> None:
    seen = incident()
    fact = decide(None, IncidentReported(incident=seen), 5, CATALOGUE)
    assert fact is not None
    for sequence in (4, 5):
        assert (
            decide(State(fact.triage, 1), IncidentReported(incident=seen), sequence, CATALOGUE)
            is None
        )


def news(fact: IncidentNews, sequence: int, number: int = 1) -> Event:
    time = NOON + timedelta(seconds=sequence)
    return new_event(UUID(int=number), sequence, time, fact, None)


def reported(sequence: int, number: int = 1) -> Event:
    return news(IncidentReported(incident=incident()), sequence, number)


def updated(sequence: int, number: int = 1) -> Event:
    return news(
        IncidentUpdated(incident=incident(signal_count=sequence), changed=[]), sequence, number
    )


def cleared(sequence: int, number: int = 1) -> Event:
    over = incident(status="cleared", signal_count=sequence)
    return news(IncidentCleared(incident=over, reason="expired"), sequence, number)


@pytest.mark.parametrize(
    ("batch", "answered"),
    [
        ([updated(2), updated(3), updated(4)], [4]),
        ([reported(1), updated(2)], [2]),
        ([reported(1), cleared(2)], [1, 2]),
        ([reported(1), updated(2), cleared(3)], [2, 3]),
        ([cleared(2), updated(3), updated(4)], [2, 4]),
        ([updated(4), updated(2), updated(4)], [4]),
        ([cleared(3), updated(2)], [2, 3]),
    ],
    ids=["updates", "new", "new and over", "all", "again", "repeated", "late"],
)
def test_a_batch_is_answered_once_before_and_once_after_an_incident_cleared(
    batch: list[Event], answered: list[int]
) -> None:
    assert [found.newest.sequence for found in coalesce(batch)] == answered


def test_incidents_are_answered_apart_and_each_waits_since_its_oldest_news() -> None:
    found = coalesce([reported(1), reported(5, number=2), updated(3), updated(9, number=2)])
    assert [(n.newest.subject.int, n.newest.sequence) for n in found] == [(1, 3), (2, 9)]
    assert [(n.since - NOON).total_seconds() for n in found] == [1, 5]


def test_a_new_incident_is_triaged_whichever_of_its_news_is_the_newest() -> None:
    (found,) = coalesce([reported(1), updated(2)])
    fact = decide(None, found.fact, found.newest.sequence, CATALOGUE)
    assert isinstance(fact, IncidentTriaged)
    assert (fact.triage.intake_sequence, fact.triage.incident.signal_count) == (2, 2)


def test_what_a_person_says_is_no_incident_is_withdrawn_once() -> None:
    request = {"kind": "request", "kind_by": "ben"}
    triaged = decide(None, IncidentReported(incident=incident()), 1, CATALOGUE)
    assert isinstance(triaged, IncidentTriaged)
    said = IncidentReclassified(incident=incident(**request), logged_as=UUID(int=2))
    withdrawn = decide(State(triaged.triage, 1), said, 2, CATALOGUE)
    assert isinstance(withdrawn, IncidentWithdrawn)
    assert withdrawn.triage.incident.kind_by == "ben"
    assert withdrawn.triage.priority is triaged.triage.priority
    known = State(withdrawn.triage, 2)
    more = IncidentUpdated(incident=incident(**request, signal_count=9), changed=["signal_count"])
    assert decide(known, more, 3, CATALOGUE) is None
    over = IncidentCleared(incident=incident(**request, status="cleared"), reason="expired")
    assert decide(known, over, 4, CATALOGUE) is None


def test_what_is_no_incident_before_triage_reads_of_it_is_withdrawn_at_once() -> None:
    more = IncidentUpdated(incident=incident(kind="change", kind_by="ben"), changed=[])
    assert isinstance(decide(None, more, 3, CATALOGUE), IncidentWithdrawn)
