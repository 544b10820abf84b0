"""Resolutions as intake reads them from escalation."""

from datetime import datetime
from uuid import UUID

from shared.events.escalation import IncidentResolved, Response
from shared.events.facts import event_message, new_event
from shared.events.triage import Priority
from shared.kafka.record import Record


def resolution(incident_id: UUID, number: int, seen: int, at: datetime) -> Record:
    """A person resolved the incident, having seen intake's event `seen`."""
    response = Response(
        incident_id=incident_id,
        number=number,
        status="resolved",
        priority=Priority.P1,
        team="payments",
        summary="disk full",
        step=1,
        round=1,
        waiting_on="nothing",
        started_at=at,
        intake_sequence=seen,
        triage_sequence=1,
        policy_version="v",
    )
    fact = IncidentResolved(response=response, by="ana", via="api", cut=[])
    message = event_message(new_event(incident_id, 9, at, fact, None))
    return Record(message.topic, 0, 0, at, message.key, message.value)
