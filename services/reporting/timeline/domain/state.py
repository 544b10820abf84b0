"""An incident's state: the newest that each producer has stated, in whatever order it arrived."""

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, replace
from uuid import UUID

from shared.events.escalation import Response
from shared.events.facts import Event, next_sequence
from shared.events.intake import ReportedIncident
from shared.events.reporting import IncidentSummary
from shared.events.triage import TriagedIncident


@dataclass(frozen=True, slots=True)
class Incident:
    """What each producer stated last, and the sequence of that event; 0 is before the first.
    `sequence` is that of the state published last.
    """

    incident_id: UUID
    sequence: int = 0
    intake_sequence: int = 0
    triage_sequence: int = 0
    escalation_sequence: int = 0
    reported: ReportedIncident | None = None
    triaged: TriagedIncident | None = None
    response: Response | None = None
    trace_id: str | None = None


@dataclass(frozen=True, slots=True)
class Update:
    """An incident after a batch. `cause` is the event whose trace the new state continues; None if
    nothing changed that others can see, so nothing is to be published.
    """

    incident: Incident
    summary: IncidentSummary
    cause: Event | None


def state_in(event: Event) -> ReportedIncident | TriagedIncident | Response | None:
    """The incident's state that the event carries; None if the event is about something else."""
    stated = vars(event.data)  # asking a model for a field that it has not is slow
    for name in ("incident", "triage", "response"):
        state = stated.get(name)
        if isinstance(state, ReportedIncident | TriagedIncident | Response):
            return state
    return None


def apply_events(
    known: Mapping[UUID, Incident], events: Iterable[Event], epoch: int
) -> list[Update]:
    """The known incidents after the events of a batch, all of which are about them."""
    incidents, newest = dict(known), dict[UUID, Event]()
    for event in events:
        incidents[event.subject] = apply_event(incidents[event.subject], event)
        newest[event.subject] = event
    updates = []
    for key, incident in incidents.items():
        summary = summarise(incident)
        if summary == summarise(known[key]):
            updates.append(Update(incident, summary, None))
            continue
        numbered = replace(incident, sequence=next_sequence(incident.sequence, epoch))
        updates.append(Update(numbered, summary, newest[key]))
    return updates


def apply_event(incident: Incident, event: Event) -> Incident:
    """The incident after one more event. The same events give the same incident in any order, and
    repeats change nothing.
    """
    match state_in(event):
        case ReportedIncident() as reported if event.sequence > incident.intake_sequence:
            incident = replace(incident, intake_sequence=event.sequence, reported=reported)
        case TriagedIncident() as triaged if event.sequence > incident.triage_sequence:
            incident = replace(incident, triage_sequence=event.sequence, triaged=triaged)
        case Response() as response if event.sequence > incident.escalation_sequence:
            incident = replace(incident, escalation_sequence=event.sequence, response=response)
    if event.trace is not None:
        # All events of an incident belong to one trace. Should they not, the least id wins, in
        # whatever order they arrive.
        trace_id = min(incident.trace_id or event.trace.trace_id, event.trace.trace_id)
        incident = replace(incident, trace_id=trace_id)
    return incident


def newest_report(incident: Incident) -> ReportedIncident | None:
    """The newest state of the report: intake's own, or the one that triage passed on."""
    reported, triaged = incident.reported, incident.triaged
    if triaged is None:
        return reported
    if reported is None or triaged.intake_sequence > incident.intake_sequence:
        return triaged.incident
    return reported


def summarise(incident: Incident) -> IncidentSummary:
    """The incident as others see it, by the newest that each producer stated."""
    reported, triaged, response = newest_report(incident), incident.triaged, incident.response
    # Escalation can change owner and priority itself, unless triage has news that it has not seen.
    response_is_newer = response and response.triage_sequence >= incident.triage_sequence
    decided = response if response_is_newer else triaged or response
    described = reported or response
    return IncidentSummary(
        incident_id=incident.incident_id,
        number=described.number if described else None,
        status=response.status if response else "reported",
        cleared=bool(reported and reported.cleared_at),
        summary=described.summary if described else None,
        service=described.service if described else None,
        severity=reported.severity if reported else None,
        priority=decided.priority if decided else None,
        team=decided.team if decided else None,
        signal_count=reported.signal_count if reported else None,
        opened_at=reported.opened_at if reported else None,
        acknowledged_at=response.acknowledged_at if response else None,
        acknowledged_by=response.acknowledged_by if response else None,
        resolved_at=response.resolved_at if response else None,
        resolved_by=response.resolved_by if response else None,
        trace_id=incident.trace_id,
        synthetic=triaged.synthetic if triaged else None,
    )


def synthetic_services(known: Set[str], events: Iterable[Event]) -> set[str]:
    """The services whose incidents triage called synthetic last, in these events or before."""
    services = set(known)
    for event in events:
        triaged = state_in(event)
        if not isinstance(triaged, TriagedIncident) or not triaged.incident.service:
            continue
        if triaged.synthetic:
            services.add(triaged.incident.service)
        else:
            services.discard(triaged.incident.service)
    return services


def is_synthetic(incident: IncidentSummary, services: Set[str]) -> bool:
    """Whether figures and lists leave it out. Until triage has decided, this follows from what it
    decided last about the service.
    """
    return incident.service in services if incident.synthetic is None else incident.synthetic
