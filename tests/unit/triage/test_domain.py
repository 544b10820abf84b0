"""How urgent an incident is and whose it is, with the reasons."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from services.triage.catalogue.policy import Catalogue
from services.triage.priority.domain import MATRIX, State, decide, route, triage
from shared.events.intake import (
    IncidentCleared,
    IncidentReported,
    IncidentUpdated,
    ReportedIncident,
    ServiceRequest,
    Severity,
)
from shared.events.triage import (
    IncidentReprioritised,
    IncidentSubsided,
    IncidentTriaged,
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


def test_the_matrix_never_gets_less_urgent_as_either_side_rises() -> None:
    order = ["high", "medium", "low"]
    grid = [[int(MATRIX[impact][urgency].value[1]) for urgency in order] for impact in order]  # type: ignore[index]
    assert all(row == sorted(row) for row in grid)
    assert all(column == sorted(column) for column in map(list, zip(*grid, strict=True)))


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
        reason.startswith("owner platform: the default") and words in reason
        for reason in decided.reasons
    )


def test_the_reason_of_a_defaulted_severity_is_kept() -> None:
    decided = triage(incident(severity_reason="severity `page` is not known"), 1, CATALOGUE)
    assert "severity `page` is not known" in decided.reasons


def test_news_is_told_as_what_it_changed() -> None:
    first = incident(severity=Severity.WARNING)
    fact = decide(None, IncidentReported(incident=first), first, 1, CATALOGUE)
    assert isinstance(fact, IncidentTriaged)
    state = State(fact.triage, 1)
    more = incident(severity=Severity.WARNING, signal_count=9)
    assert isinstance(
        decide(state, IncidentUpdated(incident=more, changed=["signal_count"]), more, 2, CATALOGUE),
        TriageConfirmed,
    )
    worse = incident(severity=Severity.CRITICAL)
    raised = decide(
        state, IncidentUpdated(incident=worse, changed=["severity"]), worse, 2, CATALOGUE
    )
    assert isinstance(raised, IncidentReprioritised)
    assert raised.changed == ["urgency", "priority"]
    over = incident(severity=Severity.WARNING, status="cleared")
    ended = decide(state, IncidentCleared(incident=over, reason="expired"), over, 2, CATALOGUE)
    assert isinstance(ended, IncidentSubsided)
    assert ended.triage.incident.status == "cleared"
    assert ended.triage.intake_sequence == 2


@pytest.mark.parametrize("moved", [{"severity": Severity.CRITICAL}, {"service": "nowhere"}])
def test_what_was_learned_in_the_moment_of_the_end_counts_as_if_it_had_been_told_before(
    moved: dict[str, Any],
) -> None:
    first = incident(severity=Severity.WARNING)
    state = State(triage(first, 1, CATALOGUE), 1)
    over = incident(**({"severity": Severity.WARNING} | moved), status="cleared")
    ended = decide(
        state, IncidentCleared(incident=over, reason="resolved at the source"), over, 2, CATALOGUE
    )
    assert isinstance(ended, IncidentSubsided)
    assert ended.triage == triage(over, 2, CATALOGUE)
    assert ended.triage.reasons != state.triage.reasons


def test_an_end_changes_no_decision_though_the_catalogue_has_changed() -> None:
    first = incident(severity=Severity.WARNING)
    state = State(triage(first, 1, CATALOGUE).model_copy(update={"team": "of old"}), 1)
    over = incident(severity=Severity.WARNING, status="cleared")
    ended = decide(state, IncidentCleared(incident=over, reason="expired"), over, 2, CATALOGUE)
    assert ended
    assert ended.triage.team == "of old"


def test_the_catalogue_makes_an_incident_synthetic_and_no_word_of_its_sender_does() -> None:
    decided = triage(incident(service="probe"), 1, CATALOGUE)
    assert decided.synthetic
    assert "synthetic: the catalogue marks probe so" in decided.reasons
    assert not triage(
        incident(labels={"synthetic": "true"}, annotations={"synthetic": "true"}), 1, CATALOGUE
    ).synthetic


def test_an_incident_whose_service_becomes_a_canarys_is_told_as_changed() -> None:
    seen = incident(service="probe")
    real = triage(seen, 1, CATALOGUE).model_copy(update={"synthetic": False})
    more = incident(service="probe", signal_count=2)
    fact = decide(
        State(real, 1), IncidentUpdated(incident=more, changed=["signal_count"]), more, 2, CATALOGUE
    )
    assert isinstance(fact, IncidentReprioritised)
    assert fact.changed == ["synthetic"]


def test_old_news_changes_nothing() -> None:
    seen = incident()
    fact = decide(None, IncidentReported(incident=seen), seen, 5, CATALOGUE)
    assert fact is not None
    for sequence in (4, 5):
        assert (
            decide(
                State(fact.triage, 1), IncidentReported(incident=seen), seen, sequence, CATALOGUE
            )
            is None
        )


def test_a_request_is_routed_to_the_owner_and_never_paged() -> None:
    request = ServiceRequest(
        request_id=UUID(int=2), source="form", summary="new key", service="search", received_at=NOON
    )
    routed = route(request, CATALOGUE)
    assert routed.team == "discovery"
    assert "never paged" in " ".join(routed.reasons)
