"""SQL of incidents' states."""

from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import dataclass, fields
from typing import Any, TypeVar
from uuid import UUID

from services.reporting.timeline.domain.state import Incident, Update, is_synthetic
from shared.events.escalation import Response
from shared.events.facts import Model
from shared.events.intake import ReportedIncident
from shared.events.triage import TriagedIncident
from shared.postgres.connection import Connection
from shared.postgres.errors import Conflict
from shared.postgres.installation import EPOCH
from shared.postgres.writes import Write

CHANNEL = "incidents"
"""Notified when the state of an incident changes."""
_COLUMNS = [field.name for field in fields(Incident)]
_STATES = ("reported", "triaged", "response")
_SELECTED = ", ".join(f"{name}::text" if name in _STATES else name for name in _COLUMNS)
"""The states as text, which the models read in one step."""
_DERIVED = ["number", "status", "priority", "team", "opened_at", "acknowledged_at", "resolved_at"]
_UPDATED = [*_COLUMNS, *_DERIVED, "state", "synthetic"]
_State = TypeVar("_State", bound=Model)


@dataclass(frozen=True, slots=True)
class Known:
    """What a batch starts from: its incidents, the epoch of new sequences, and the services that
    triage called synthetic last.
    """

    incidents: Mapping[UUID, Incident]
    epoch: int
    synthetic_services: Set[str]


async def lock_incidents(connection: Connection, incident_ids: Collection[UUID]) -> Known:
    """The incidents, created if they are not known yet, and locked in order of id. Raises Conflict
    if another transaction creates one of them at the same time.
    """
    # A row that does not exist cannot be locked, so it is created: of two transactions that meet a
    # new incident, one waits. The statement does not see the rows of the other one, even once that
    # has committed.
    rows = await connection.fetch(
        f"""
        WITH created AS (
            INSERT INTO incidents (incident_id) SELECT unnest($1::uuid[])
            ON CONFLICT DO NOTHING RETURNING {_SELECTED}
        ), found AS (
            SELECT {_SELECTED} FROM incidents
            WHERE incident_id = ANY($1) ORDER BY incident_id FOR UPDATE
        )
        SELECT {EPOCH} AS epoch,
            ARRAY(SELECT service FROM synthetic_services) AS synthetic_services, incident.*
        FROM (SELECT * FROM created UNION ALL SELECT * FROM found) AS incident
        """,  # noqa: S608 - names of our own
        sorted(incident_ids),
    )
    if len(rows) < len(incident_ids):
        raise Conflict
    incidents = {row["incident_id"]: _read(row) for row in rows}
    return Known(incidents, rows[0]["epoch"], frozenset(rows[0]["synthetic_services"]))


def incidents_write(updates: Sequence[Update], synthetic: Set[str]) -> Write:
    """Writes locked incidents with what is derived from them, and notifies every console.

    Those that triage has not decided on yet count as synthetic if their service is in `synthetic`.
    """
    new = ", ".join(f"new.{column}" for column in _UPDATED)
    return Write(
        f"""
        UPDATE incidents SET ({", ".join(_UPDATED)}) = ROW ({new})
        FROM jsonb_populate_recordset(NULL::incidents, $1) AS new
        WHERE incidents.incident_id = new.incident_id
        """,  # noqa: S608 - names of our own
        ([_row(update, synthetic) for update in updates],),
        notify=CHANNEL,
    )


def synthetic_services_writes(known: Set[str], now: Set[str]) -> list[Write]:
    """Changes the services that are remembered as synthetic from those known to those of now."""
    writes = []
    if added := now - known:
        insert = "INSERT INTO synthetic_services (service) SELECT unnest($1::text[])"
        writes.append(Write(f"{insert} ON CONFLICT DO NOTHING", (sorted(added),)))
    if removed := known - now:
        delete = "DELETE FROM synthetic_services WHERE service = ANY($1::text[])"
        writes.append(Write(delete, (sorted(removed),)))
    return writes


async def load_incident(connection: Connection, reference: UUID | int) -> Incident | None:
    """By id or number."""
    column = "incident_id" if isinstance(reference, UUID) else "number"
    wanted = f"{column} = $1 AND state IS NOT NULL"
    query = f"SELECT {_SELECTED} FROM incidents WHERE {wanted}"  # noqa: S608 - names of our own
    row = await connection.fetchrow(query, reference)
    return _read(row) if row else None


def _read(row: Mapping[str, Any]) -> Incident:
    return Incident(
        incident_id=row["incident_id"],
        sequence=row["sequence"],
        intake_sequence=row["intake_sequence"],
        triage_sequence=row["triage_sequence"],
        escalation_sequence=row["escalation_sequence"],
        reported=_state(ReportedIncident, row["reported"]),
        triaged=_state(TriagedIncident, row["triaged"]),
        response=_state(Response, row["response"]),
        trace_id=row["trace_id"],
    )


def _state(model: type[_State], document: str | None) -> _State | None:
    return None if document is None else model.model_validate_json(document)


def _row(update: Update, synthetic: Set[str]) -> dict[str, Any]:
    state = update.summary.model_dump(mode="json")
    row: dict[str, Any] = {}
    for name in _COLUMNS:
        value = getattr(update.incident, name)
        row[name] = value.model_dump(mode="json") if isinstance(value, Model) else value
    row |= {name: state[name] for name in _DERIVED}
    return {**row, "state": state, "synthetic": is_synthetic(update.summary, synthetic)}
