"""When a service has so many open incidents that further alerts are gathered in one."""

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from functools import lru_cache

from services.intake.incidents.domain.grouping import Grouped
from services.intake.incidents.domain.incident import Incident
from services.intake.incidents.domain.opening import open_incident
from services.intake.incidents.policy import IntakePolicy, Storm
from shared.events.ids import derived_id
from shared.events.intake import Severity

STORM = "\x1fstorm"
"""The key of the member that keeps the incident of a storm open until it is calm."""

_ALWAYS_NEWEST = ["9999", ""]
_NO_FLAPPING = IntakePolicy(flapping=None)


def near(storm: Storm) -> int:
    """The number of open incidents at which the owner is warned."""
    return storm.open_incidents * 3 // 4


@lru_cache
def storm_fingerprint(service: str) -> str:
    """That of the incident that gathers a service's further alerts."""
    return hashlib.sha256(f"storm {service}".encode()).hexdigest()[:32]


def services_of(items: Iterable[Grouped]) -> set[str]:
    """Those that alerts which fire name: a storm is one of a service."""
    return {i.alert.data.service for i in items if i.fires and i.alert.data.service}


def gathered(item: Grouped, service: str) -> Grouped:
    """An alert in the incident of a storm."""
    fingerprint = storm_fingerprint(service)
    return replace(item, fingerprint=fingerprint, member=item.identity, shared=True, group=None)


def storm_incident(
    item: Grouped, service: str, number: int, opened: int, storm: Storm, epoch: int, now: datetime
) -> Incident:
    """The incident that warns of a storm of a service, and gathers the alerts beyond its limit."""
    signal = item.alert.signal
    incident = open_incident(gathered(item, service), number, (), _NO_FLAPPING, epoch, now)
    return replace(
        incident,
        incident_id=derived_id(signal.origin, signal.signal_id, "storm"),
        summary=f"{service}: {opened} incidents are open; beyond "
        f"{storm.open_incidents}, further alerts are gathered here",
        severity=Severity.WARNING,
        severity_reason="a storm is near",
        labels={},
        annotations={},
        links=[],
        described_by=_ALWAYS_NEWEST,
        signal_count=0,
        opens_at=None,
        started_at=now,
    )


def in_storm(incident: Incident, storm: Storm) -> Incident:
    """The same when it gathers alerts: its summary says so, and it is an error at least."""
    if incident.severity_reason is None:
        return incident
    return replace(
        incident,
        summary=f"{incident.service}: {storm.open_incidents} incidents are open; "
        "further alerts are gathered here",
        severity=Severity.ERROR,
        severity_reason=None,
    )
