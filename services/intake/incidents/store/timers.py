"""Timers of incidents."""

from collections.abc import Iterable
from datetime import datetime

from services.intake.incidents.domain.incident import Incident
from shared.postgres.timers import Timer

OPEN = "open"
UPDATE = "update"
EXPIRY = "expiry"


def timer_of(kind: str, incident: Incident, due_at: datetime) -> Timer:
    """A timer of an incident, in its trace."""
    return Timer(kind, incident.incident_id, due_at, trace=incident.trace)


def expiry_timers(incidents: Iterable[Incident]) -> list[Timer]:
    """Those that look for alerts which ended without a word, as the incidents say."""
    return [timer_of(EXPIRY, one, one.expiry_armed_at) for one in incidents if one.expiry_armed_at]
