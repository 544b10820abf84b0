"""How urgent an incident is and whose it is: pure decisions, each with its reasons."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from uuid import UUID

from services.triage.catalogue.domain import Ownership, find_owner
from services.triage.catalogue.policy import Catalogue
from services.triage.catalogue.policy.matrix import PriorityRules
from shared.events.facts import Event
from shared.events.intake import IncidentCleared, IncidentNews, ReportedIncident
from shared.events.triage import (
    IncidentReprioritised,
    IncidentSubsided,
    IncidentTriaged,
    IncidentWithdrawn,
    Priority,
    TriageConfirmed,
    TriagedIncident,
    TriageFact,
)
from shared.policy.files import PolicyFile

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
    """What triage knows of an incident; `sequence` is that of the newest event about it."""

    triage: TriagedIncident
    sequence: int


@dataclass(frozen=True, slots=True)
class News:
    """Events about one incident that one fact answers: the newest of them, and since when the
    oldest has waited for an answer.
    """

    newest: Event
    since: datetime

    @property
    def fact(self) -> IncidentNews:
        """What the newest event says."""
        fact = self.newest.data
        assert isinstance(fact, IncidentNews)  # noqa: S101 - for the type checker
        return fact


def coalesce(events: Iterable[Event]) -> list[News]:
    """What a batch says of each incident, in the order of sequence: at most once before it cleared
    and once after. Nothing is lost, since each event carries the incident's whole state.
    """
    by_incident: dict[UUID, dict[int, Event]] = {}
    for event in events:
        by_incident.setdefault(event.subject, {})[event.sequence] = event
    news = []
    for found in by_incident.values():
        ordered = sorted(found.values(), key=lambda event: event.sequence)
        for _, run in groupby(ordered, lambda event: isinstance(event.data, IncidentCleared)):
            together = list(run)
            news.append(News(together[-1], together[0].time))
    return news


def decide(
    state: State | None, fact: IncidentNews, intake_sequence: int, catalogue: PolicyFile[Catalogue]
) -> TriageFact | None:
    """The fact that follows from news of intake; None for news that is older than what is known.

    An incident that has cleared keeps its decision, unless it was worse at its end than triage
    knew: the result must not depend on which events intake put together.
    """
    if state is not None and intake_sequence <= state.triage.intake_sequence:
        return None
    if fact.incident.kind != "incident":
        return _withdraw(state, fact.incident, intake_sequence, catalogue)
    if not isinstance(fact, IncidentCleared):
        return _answer(state, triage(fact.incident, intake_sequence, catalogue))
    if state is None or not _same_grounds(fact.incident, state.triage.incident):
        return IncidentSubsided(triage=triage(fact.incident, intake_sequence, catalogue))
    seen = {"incident": fact.incident, "intake_sequence": intake_sequence}
    return IncidentSubsided(triage=state.triage.model_copy(update=seen))


def _withdraw(
    state: State | None,
    incident: ReportedIncident,
    intake_sequence: int,
    catalogue: PolicyFile[Catalogue],
) -> IncidentWithdrawn | None:
    """That it is no incident; said once, whatever else is reported of it."""
    if state is None:
        return IncidentWithdrawn(triage=triage(incident, intake_sequence, catalogue))
    if state.triage.incident.kind != "incident":
        return None
    seen = {"incident": incident, "intake_sequence": intake_sequence}
    return IncidentWithdrawn(triage=state.triage.model_copy(update=seen))


def _answer(state: State | None, decided: TriagedIncident) -> TriageFact:
    """The fact for a decision, by what it changes."""
    if state is None:
        return IncidentTriaged(triage=decided)
    changed = [name for name in _DECISION if getattr(decided, name) != getattr(state.triage, name)]
    if changed:
        return IncidentReprioritised(triage=decided, changed=changed)
    return TriageConfirmed(triage=decided)


def triage(
    incident: ReportedIncident, intake_sequence: int, catalogue: PolicyFile[Catalogue]
) -> TriagedIncident:
    """Impact from the service's tier, urgency from the severity, priority from both, the owner from
    the catalogue.
    """
    owner = find_owner(incident.service, incident.labels, catalogue.content)
    service = owner.service
    rating = _rate(incident, owner, catalogue.content.priority)
    reasons = [*rating.reasons, owner.reason]
    if service and service.synthetic:
        reasons.append(f"synthetic: the catalogue marks {incident.service} so")
    return TriagedIncident(
        incident=incident,
        intake_sequence=intake_sequence,
        impact=rating.impact,
        urgency=rating.urgency,
        priority=rating.priority,
        team=owner.team,
        service_known=service is not None,
        tier=service.tier if service else None,
        runbook=service.runbook if service else None,
        dependencies=list(service.dependencies) if service else [],
        synthetic=service is not None and service.synthetic,
        reasons=reasons,
        policy_version=catalogue.version,
    )


@dataclass(frozen=True, slots=True)
class _Rating:
    impact: str
    urgency: str
    priority: Priority
    reasons: list[str]


def _rate(incident: ReportedIncident, owner: Ownership, rules: PriorityRules) -> _Rating:
    """Each reason names the rule that applied."""
    impact, impact_reason = _impact(incident.service, owner, rules)
    urgency = rules.urgency_of_severity[incident.severity.value]
    priority = rules.matrix[impact][urgency]
    reasons = [
        impact_reason,
        f"urgency {urgency}: severity is {incident.severity.value}",
        incident.severity_reason,
        f"priority {priority.value}: impact {impact} x urgency {urgency}",
    ]
    return _Rating(impact, urgency, priority, [reason for reason in reasons if reason])


def _impact(name: str | None, owner: Ownership, rules: PriorityRules) -> tuple[str, str]:
    if owner.service is not None:
        impact = rules.impact_of_tier[owner.service.tier]
        return impact, f"impact {impact}: {name} is tier {owner.service.tier}"
    missing = f"service `{name}` is not in the catalogue" if name else "no service was named"
    return rules.default_impact, f"impact {rules.default_impact}: {missing}"


def _same_grounds(one: ReportedIncident, other: ReportedIncident) -> bool:
    return all(
        getattr(one, name) == getattr(other, name)
        for name in ("severity", "severity_reason", "service")
    )
