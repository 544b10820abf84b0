"""An incident's state: the newest that each producer has said, whatever the order in which it came."""

from collections.abc import Iterable, Set
from dataclasses import dataclass, replace
from uuid import UUID

from shared.events.escalation import Response
from shared.events.facts import Event
from shared.events.intake import ReportedIncident
from shared.events.reporting import IncidentSummary
from shared.events.triage import TriagedIncident


@dataclass(frozen=True, slots=True)
class Incident:
    """A sequence of 0 means that the producer has said nothing yet. `sequence` is of the state told
    last.
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


def state_in(event: Event) -> ReportedIncident | TriagedIncident | Response | None:
    """The state of an incident that the event carries; None when it is about something else."""
    for name in ("incident", "triage", "response"):
        state = getattr(event.data, name, None)
        if isinstance(state, ReportedIncident | TriagedIncident | Response):
            return state
    return None


def absorb(incident: Incident, event: Event) -> Incident:
    """The incident after one more event. The same events give the same incident in any order,
    repeats and all.
    """
    match state_in(event):
        case ReportedIncident() as reported if event.sequence > incident.intake_sequence:
            incident = replace(incident, intake_sequence=event.sequence, reported=reported)
        case TriagedIncident() as triaged if event.sequence > incident.triage_sequence:
            incident = replace(incident, triage_sequence=event.sequence, triaged=triaged)
        case Response() as response if event.sequence > incident.escalation_sequence:
            incident = replace(incident, escalation_sequence=event.sequence, response=response)
    if event.trace is not None:
        # All events of an incident are of one trace; the least of them is a choice that no order
        # can change.
        trace_id = min(incident.trace_id or event.trace.trace_id, event.trace.trace_id)
        incident = replace(incident, trace_id=trace_id)
    return incident


def known_report(incident: Incident) -> ReportedIncident | None:
    """The newest state of the report: intake's own, or the one that triage passed on."""
    triaged = incident.triaged
    if triaged and (
        incident.reported is None or triaged.intake_sequence > incident.intake_sequence
    ):
        return triaged.incident
    return incident.reported


def summarise(incident: Incident) -> IncidentSummary:
    """All that is known now, by the newest that each producer said."""
    reported, triaged, response = known_report(incident), incident.triaged, incident.response
    # Escalation may change owner and urgency itself, unless triage has news that it has not seen.
    owned = (
        response
        if response and response.triage_sequence >= incident.triage_sequence
        else triaged or response
    )
    told = reported or response
    return IncidentSummary(
        incident_id=incident.incident_id,
        number=told.number if told else None,
        status=response.status if response else "reported",
        cleared=bool(reported and reported.cleared_at),
        summary=told.summary if told else None,
        service=told.service if told else None,
        severity=reported.severity if reported else None,
        priority=owned.priority if owned else None,
        team=owned.team if owned else None,
        signal_count=reported.signal_count if reported else None,
        opened_at=reported.opened_at if reported else None,
        acknowledged_at=response.acknowledged_at if response else None,
        acknowledged_by=response.acknowledged_by if response else None,
        resolved_at=response.resolved_at if response else None,
        resolved_by=response.resolved_by if response else None,
        trace_id=incident.trace_id,
        synthetic=triaged.synthetic if triaged else None,
    )


def synthetic_services(known: Set[str], events: Iterable[Event]) -> Set[str]:
    """Services that triage calls synthetic, as it did last in these events or before."""
    services = set(known)
    for event in events:
        if isinstance(triaged := state_in(event), TriagedIncident) and (
            name := triaged.incident.service
        ):
            (services.add if triaged.synthetic else services.discard)(name)
    return services


def kept_apart(incident: IncidentSummary, services: Set[str]) -> bool:
    """Whether figures and lists leave it out. Triage decides; until it speaks, what it says of the
    service.
    """
    return incident.service in services if incident.synthetic is None else incident.synthetic
