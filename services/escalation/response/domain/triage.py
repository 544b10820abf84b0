"""Facts of triage folded into a response."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from services.escalation.policies.domain.page_order import PageOrder
from services.escalation.policies.domain.snapshot import Snapshot, snapshot
from services.escalation.policies.policy import Teams
from services.escalation.response.domain.alerts import alerts_of
from services.escalation.response.domain.escalation import start
from services.escalation.response.domain.incident import Decision, Incident
from services.escalation.response.domain.orders import acknowledge, resolve
from shared.events.escalation import Response
from shared.events.facts import Event
from shared.events.triage import IncidentSubsided, TriagedIncident, TriageFact
from shared.policy.files import PolicyFile


def on_triage(
    incident: Incident | None,
    event: Event,
    teams: PolicyFile[Teams],
    now: datetime,
    unsent: Sequence[PageOrder] = (),
) -> Decision:
    """Fold one event of triage into the response; `incident` is None when it is new.

    The highest triage sequence decides what is known of an incident; a clear ends it in whatever
    order it comes. `unsent` are the pages that have not gone out.
    """
    fact, sequence = event.data, event.sequence
    assert isinstance(fact, TriageFact)  # noqa: S101 - the handler subscribes to these alone
    reported = fact.triage.incident
    over = (
        isinstance(fact, IncidentSubsided)
        or reported.status != "open"
        or reported.kind != "incident"
    )
    if incident is not None:
        incident = refresh(incident, fact.triage, sequence)
        if over:
            return cleared(incident, fact.triage, now, unsent)
        if incident.triggered and fact.triage.incident.acknowledged_by:
            return _acknowledged(incident, fact.triage, now, unsent)
        return Decision(incident, acted=False)
    policy, notes = snapshot(teams, fact.triage.team)
    incident = Incident(
        response=_new_response(fact.triage, sequence, policy, now),
        policy=policy,
        runbook=fact.triage.runbook,
        opened_at=fact.triage.incident.opened_at,
        alerts=alerts_of(fact.triage.incident),
    )
    if over:
        return cleared(incident, fact.triage, now)
    if fact.triage.incident.acknowledged_by:
        return _acknowledged(incident, fact.triage, now)
    return start(incident, notes, teams.content, now)


def refresh(incident: Incident, triage: TriagedIncident, sequence: int) -> Incident:
    """Take over what triage knows now, unless something newer is known.

    A resolved incident keeps the intake sequence that its resolution acted on.
    """
    response = incident.response
    if sequence <= response.triage_sequence:
        return incident
    known = _known(triage, sequence)
    if response.status == "resolved":
        del known["intake_sequence"]
    changed = response.model_copy(update=known)
    alerts = alerts_of(triage.incident)
    return incident.model_copy(
        update={"response": changed, "runbook": triage.runbook, "alerts": alerts}
    )


def cleared(
    incident: Incident, triage: TriagedIncident, now: datetime, unsent: Sequence[PageOrder] = ()
) -> Decision:
    """The alerts have ended at their source, or it is no incident: the response ends, acknowledged
    or not. It acts on the signals that triage had seen.
    """
    if incident.response.status != "resolved":
        seen = incident.response.model_copy(update={"intake_sequence": triage.intake_sequence})
        incident = incident.model_copy(update={"response": seen})
    reported = triage.incident
    if reported.kind != "incident":
        why = f"it is a {reported.kind}"
        note = f"{why}: {reported.kind_note}" if reported.kind_note else why
        by = reported.kind_by or "intake"
        return resolve(incident, by, "reclassification", now, note, unsent)
    return resolve(incident, "source", "source", now, "cleared at the source", unsent)


def _acknowledged(
    incident: Incident, triage: TriagedIncident, now: datetime, unsent: Sequence[PageOrder] = ()
) -> Decision:
    """Somebody has taken it in the system that reported it."""
    by = triage.incident.acknowledged_by or "source"
    return acknowledge(incident, by, "source", now, unsent)


def _new_response(
    triage: TriagedIncident, sequence: int, policy: Snapshot, now: datetime
) -> Response:
    return Response(
        incident_id=triage.incident.incident_id,
        number=triage.incident.number,
        status="triggered",
        step=0,
        round=1,
        waiting_on="",
        started_at=now,
        policy_version=policy.version,
        **_known(triage, sequence),
    )


def _known(triage: TriagedIncident, sequence: int) -> dict[str, Any]:
    """The fields of a response that triage decides."""
    return {
        "priority": triage.priority,
        "team": triage.team,
        "summary": triage.incident.summary,
        "service": triage.incident.service,
        "intake_sequence": triage.intake_sequence,
        "triage_sequence": sequence,
    }
