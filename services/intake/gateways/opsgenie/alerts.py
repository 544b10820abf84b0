"""An alert as Opsgenie shows it, and as Tocsin keeps it: details are labels, all else annotations.

Opsgenie's fields: https://docs.opsgenie.com/docs/alert-api.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

import orjson

from services.intake.gateways.domain.texts import links, text, texts
from services.intake.gateways.gateway import Submission
from services.intake.gateways.opsgenie.bodies import OpsgenieAlert
from services.intake.gateways.opsgenie.identifiers import alert_id
from services.intake.signals.domain import AlertData, KnownAlert, Signal
from services.intake.signals.domain.bounds import within_bounds
from shared.events.ids import uuid7

Status = Literal["firing", "acknowledged", "resolved"]

SEVERITY = {"P1": "critical", "P2": "error", "P3": "warning", "P4": "info", "P5": "info"}
_PRIORITY = {"critical": "P1", "error": "P2", "warning": "P3", "info": "P5"}
_MAX_NOTES = 40
NOTE = "note "
"""How the names of annotations that are notes begin; the time of the note follows."""


def origin(submission: Submission) -> str:
    """Whose alerts these are."""
    return f"{submission.integration.name} opsgenie"


def signal(submission: Submission, data: AlertData) -> Signal:
    """The signal of one call. Opsgenie's calls have no id: each is a new signal."""
    return Signal(
        origin=origin(submission),
        signal_id=str(uuid7()),
        sent_at=submission.received_at,
        received_at=submission.received_at,
        trace=submission.trace,
        data=within_bounds(data),
    )


def new_alert(submission: Submission, sent: OpsgenieAlert, before: KnownAlert | None) -> AlertData:
    """The data of an alert that is created, or that occurs again while it is open: then what was
    added to it stays, and what is sent now counts.
    """
    given = texts(
        {
            "description": sent.description,
            "entity": sent.entity,
            "source": sent.source,
            "priority": sent.priority,
            "tags": ",".join(sent.tags),
            "actions": ",".join(sent.actions),
            "responders": _listed(sent.responders),
            "visibleTo": _listed(sent.visible_to),
        }
    )
    labels = (before.labels if before else {}) | sent.details
    annotations = (before.annotations if before else {}) | given
    if sent.note:
        annotations = with_note(annotations, submission.received_at, sent.user, sent.note)
    return AlertData(
        summary=sent.message,
        service=service_of(sent.details),
        severity=severity_of(sent.priority),
        key=sent.alias or None,
        labels=texts(labels),
        annotations=texts(annotations),
        links=links([sent.source]),
    )


def changed(known: KnownAlert, status: Status, by: str = "", **changes: Any) -> AlertData:
    """The data of a known alert after a call."""
    fields: dict[str, Any] = {
        "summary": known.summary,
        "service": known.service,
        "severity": known.severity,
        "labels": known.labels,
        "annotations": known.annotations,
        "links": known.links,
        **changes,
    }
    fields |= {name: texts(fields[name]) for name in ("labels", "annotations")}
    return AlertData(
        status=status, key=known.key, by=by or None, starts_at=known.started_at, **fields
    )


def service_of(details: Mapping[str, str]) -> str | None:
    """The service that the details name."""
    return text(details.get("service") or details.get("job"), 255) or None


def severity_of(priority: str) -> str:
    """The severity of a priority: P3's where none is given; one that is not known is kept."""
    return SEVERITY.get(priority.strip().upper(), priority) if priority.strip() else "warning"


def with_note(annotations: Mapping[str, str], at: datetime, user: str, note: str) -> dict[str, str]:
    """The annotations with one more note, without the oldest of too many: those stay in the
    incident's timeline.
    """
    notes = sorted(name for name in annotations if name.startswith(NOTE))
    dropped = set(notes[: len(notes) - _MAX_NOTES + 1]) if len(notes) >= _MAX_NOTES else set()
    kept = {name: value for name, value in annotations.items() if name not in dropped}
    name = NOTE + at.astimezone(UTC).isoformat(timespec="microseconds")
    return kept | {name: f"{user}: {note}" if user else note}


def _listed(objects: list[dict[str, Any]]) -> str:
    return orjson.dumps(objects).decode() if objects else ""


def _objects(written: str) -> list[dict[str, Any]]:
    try:
        return list(orjson.loads(written)) if written else []
    except (orjson.JSONDecodeError, TypeError):  # it was shortened
        return []


def tags_of(known: KnownAlert) -> list[str]:
    """The tags of an alert."""
    return [tag for tag in known.annotations.get("tags", "").split(",") if tag]


def priority_of(known: KnownAlert) -> str:
    """The priority of an alert: the sender's own as long as it says the same as the severity."""
    severity, sent = known.severity.lower(), known.annotations.get("priority", "").strip().upper()
    return sent if SEVERITY.get(sent) == severity else _PRIORITY.get(severity, "P3")


def summary_of(known: KnownAlert, integration: str) -> dict[str, Any]:
    """An alert as lists show it."""
    is_open = known.status != "resolved"
    acknowledged = known.status == "acknowledged"
    return {
        "id": alert_id(known.incident_id, known.key),
        "tinyId": str(known.number),
        "alias": known.key,
        "message": known.summary,
        "status": "open" if is_open else "closed",
        "acknowledged": acknowledged,
        "isSeen": acknowledged,
        "tags": tags_of(known),
        "snoozed": False,
        "count": known.count,
        "lastOccurredAt": time_of(known.updated_at),
        "createdAt": time_of(known.started_at),
        "updatedAt": time_of(known.updated_at),
        "source": known.annotations.get("source", ""),
        "owner": "",
        "priority": priority_of(known),
        "responders": _objects(known.annotations.get("responders", "")),
        "integration": {"id": integration, "name": integration, "type": "API"},
    }


def details_of(known: KnownAlert, integration: str) -> dict[str, Any]:
    """An alert as the call for one shows it."""
    return summary_of(known, integration) | {
        "actions": [one for one in known.annotations.get("actions", "").split(",") if one],
        "entity": known.annotations.get("entity", ""),
        "description": known.annotations.get("description", ""),
        "details": known.labels,
    }


def notes_of(known: KnownAlert) -> list[dict[str, str]]:
    """The notes of an alert, newest first."""
    return [
        {"note": note, "owner": "", "createdAt": name.removeprefix(NOTE), "offset": name}
        for name, note in sorted(known.annotations.items(), reverse=True)
        if name.startswith(NOTE)
    ]


def time_of(moment: datetime) -> str:
    """A time as Opsgenie writes it."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
