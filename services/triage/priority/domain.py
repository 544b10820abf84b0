"""How urgent an incident is and whose it is: pure decisions, each with its reasons."""

from collections.abc import Mapping
from dataclasses import dataclass

from services.triage.catalogue.policy import Catalogue, CatalogueService
from shared.events.facts import Fact
from shared.events.intake import IncidentCleared, ReportedIncident, ServiceRequest, Severity
from shared.events.triage import (
    IncidentReprioritised,
    IncidentSubsided,
    IncidentTriaged,
    Level,
    Priority,
    RequestRouted,
    TriageConfirmed,
    TriagedIncident,
    TriageFact,
)
from shared.policy.files import PolicyFile

# ITIL's matrix: rows are impact, columns are urgency.
MATRIX: Mapping[Level, Mapping[Level, Priority]] = {
    "high": {"high": Priority.P1, "medium": Priority.P2, "low": Priority.P3},
    "medium": {"high": Priority.P2, "medium": Priority.P3, "low": Priority.P4},
    "low": {"high": Priority.P3, "medium": Priority.P4, "low": Priority.P5},
}
_IMPACT_OF_TIER: Mapping[int, Level] = {1: "high", 2: "medium", 3: "low", 4: "low"}
_URGENCY_OF_SEVERITY: Mapping[Severity, Level] = {
    Severity.CRITICAL: "high",
    Severity.ERROR: "medium",
    Severity.WARNING: "medium",
    Severity.INFO: "low",
}
_UNKNOWN_IMPACT: Level = "medium"
_DECISION = (
    "impact",
    "urgency",
    "priority",
    "team",
    "service_known",
    "tier",
    "runbook",
    "dependencies",
    "synthetic",
)


@dataclass(frozen=True, slots=True)
class State:
    """What triage knows of an incident, and the sequences behind it."""

    triage: TriagedIncident
    sequence: int


def triage(
    incident: ReportedIncident, intake_sequence: int, catalogue: PolicyFile[Catalogue]
) -> TriagedIncident:
    """Impact from the service's tier, urgency from the severity, priority from both, the owner from
    the catalogue.
    """
    service = catalogue.content.services.get(incident.service or "")
    impact, impact_reason = _impact(incident, service)
    urgency = _URGENCY_OF_SEVERITY[incident.severity]
    priority = MATRIX[impact][urgency]
    reasons = [
        impact_reason,
        f"urgency {urgency}: severity is {incident.severity.value}",
        *([incident.severity_reason] if incident.severity_reason else []),
        f"priority {priority.value}: impact {impact} x urgency {urgency}",
        _owner_reason(incident.service, service, catalogue),
        *(
            [f"synthetic: the catalogue marks {incident.service} so"]
            if service and service.synthetic
            else []
        ),
    ]
    return TriagedIncident(
        incident=incident,
        intake_sequence=intake_sequence,
        impact=impact,
        urgency=urgency,
        priority=priority,
        team=service.team if service else catalogue.content.default_team,
        service_known=service is not None,
        tier=service.tier if service else None,
        runbook=service.runbook if service else None,
        dependencies=list(service.dependencies) if service else [],
        synthetic=service is not None and service.synthetic,
        reasons=reasons,
        policy_version=catalogue.version,
    )


def decide(
    state: State | None,
    fact: Fact,
    incident: ReportedIncident,
    intake_sequence: int,
    catalogue: PolicyFile[Catalogue],
) -> TriageFact | None:
    """The fact that follows from news of intake; None for news that is older than what is known.

    An incident that has cleared keeps its decision, whatever the catalogue says now; but it is
    decided once more where it was worse than had been told, so that what was coalesced makes no
    difference in the end.
    """
    if state is not None and intake_sequence <= state.triage.intake_sequence:
        return None
    cleared = isinstance(fact, IncidentCleared)
    if cleared and state is not None and _same_grounds(incident, state.triage.incident):
        return IncidentSubsided(
            triage=state.triage.model_copy(
                update={"incident": incident, "intake_sequence": intake_sequence}
            )
        )
    decided = triage(incident, intake_sequence, catalogue)
    if cleared:
        return IncidentSubsided(triage=decided)
    if state is None:
        return IncidentTriaged(triage=decided)
    changed = [name for name in _DECISION if getattr(decided, name) != getattr(state.triage, name)]
    return (
        IncidentReprioritised(triage=decided, changed=changed)
        if changed
        else TriageConfirmed(triage=decided)
    )


def route(request: ServiceRequest, catalogue: PolicyFile[Catalogue]) -> RequestRouted:
    """A service request goes to the owner of its service."""
    service = catalogue.content.services.get(request.service or "")
    return RequestRouted(
        request=request,
        request_id=request.request_id,
        team=service.team if service else catalogue.content.default_team,
        reasons=[
            _owner_reason(request.service, service, catalogue),
            "a service request is routed, never paged",
        ],
        policy_version=catalogue.version,
    )


def _same_grounds(one: ReportedIncident, other: ReportedIncident) -> bool:
    return all(
        getattr(one, name) == getattr(other, name)
        for name in ("severity", "severity_reason", "service")
    )


def _impact(incident: ReportedIncident, service: CatalogueService | None) -> tuple[Level, str]:
    if service is None:
        name = (
            f"service `{incident.service}` is not in the catalogue"
            if incident.service
            else "no service was named"
        )
        return _UNKNOWN_IMPACT, f"impact {_UNKNOWN_IMPACT}: {name}"
    impact = _IMPACT_OF_TIER[service.tier]
    return impact, f"impact {impact}: {incident.service} is tier {service.tier}"


def _owner_reason(
    name: str | None, service: CatalogueService | None, catalogue: PolicyFile[Catalogue]
) -> str:
    if service is not None:
        return f"owner {service.team}: the catalogue's team for {name}"
    missing = f"`{name}` is not in the catalogue" if name else "no service was named"
    return f"owner {catalogue.content.default_team}: the default, since {missing}"
