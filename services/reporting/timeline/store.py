"""What events write: states, timelines, changes, requests. Set-wise, in one order for all writers."""

from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import fields
from typing import Any, TypeVar
from uuid import UUID

from services.reporting.timeline.domain.state import Incident, kept_apart
from services.reporting.timeline.domain.timeline import Entry
from shared.events.escalation import Response
from shared.events.facts import Model
from shared.events.intake import Change, ReportedIncident, RequestLogged
from shared.events.reporting import IncidentSummary
from shared.events.triage import RequestRouted, TriagedIncident
from shared.postgres.connection import Connection

CHANNEL = "incidents"
STATE_COLUMNS = [field.name for field in fields(Incident)]
_DERIVED = ["number", "status", "priority", "team", "opened_at", "acknowledged_at", "resolved_at"]
_ENTRY_FIELDS = [field.name for field in fields(Entry)]
ENTRY_COLUMNS = ", ".join(_ENTRY_FIELDS)
_Told = TypeVar("_Told", bound=Model)


async def lock_incidents(
    connection: Connection, incident_ids: Collection[UUID]
) -> dict[UUID, Incident]:
    """The incidents, made where they are not known yet, locked in order of id."""
    ordered = sorted(incident_ids)
    # A row that is not there cannot be locked, so it is made first: of two that meet a new
    # incident, one waits.
    await connection.execute(
        "INSERT INTO incidents (incident_id) SELECT unnest($1::uuid[]) ON CONFLICT DO NOTHING",
        ordered,
    )
    rows = await connection.fetch(
        f"SELECT {', '.join(STATE_COLUMNS)} FROM incidents WHERE incident_id = ANY($1) ORDER BY incident_id FOR UPDATE",  # noqa: S608
        ordered,
    )
    return {row["incident_id"]: read_incident(row) for row in rows}


def read_incident(row: Mapping[str, Any]) -> Incident:
    """The incident of a row."""
    return Incident(
        incident_id=row["incident_id"],
        sequence=row["sequence"],
        intake_sequence=row["intake_sequence"],
        triage_sequence=row["triage_sequence"],
        escalation_sequence=row["escalation_sequence"],
        reported=_told(ReportedIncident, row["reported"]),
        triaged=_told(TriagedIncident, row["triaged"]),
        response=_told(Response, row["response"]),
        trace_id=row["trace_id"],
    )


def _told(model: type[_Told], document: object) -> _Told | None:
    return None if document is None else model.model_validate(document)


async def update_incidents(
    connection: Connection,
    incidents: Mapping[UUID, Incident],
    states: Mapping[UUID, IncidentSummary],
    synthetic: Set[str],
) -> None:
    """Write locked incidents back with what they come to, and tell every console when the
    transaction commits.

    Those that triage has not spoken of yet are taken for synthetic if their service is among
    `synthetic`.
    """
    columns = [*STATE_COLUMNS, *_DERIVED, "state", "synthetic"]
    await connection.execute(
        f"""
        WITH updated AS (
            UPDATE incidents SET ({", ".join(columns)}) = ROW ({", ".join(f"new.{column}" for column in columns)})
            FROM jsonb_populate_recordset(NULL::incidents, $1) AS new
            WHERE incidents.incident_id = new.incident_id
        )
        SELECT pg_notify(current_schema || '.{CHANNEL}', '')
        """,  # noqa: S608 - names of our own
        [_row(incident, states[key], synthetic) for key, incident in incidents.items()],
    )


def _row(incident: Incident, summary: IncidentSummary, synthetic: Set[str]) -> dict[str, Any]:
    state = summary.model_dump(mode="json")
    told = {name: getattr(incident, name) for name in STATE_COLUMNS}
    written = {
        name: value.model_dump(mode="json") if isinstance(value, Model) else value
        for name, value in told.items()
    }
    derived = {name: state[name] for name in _DERIVED}
    return {**written, **derived, "state": state, "synthetic": kept_apart(summary, synthetic)}


async def load_synthetic_services(connection: Connection) -> set[str]:
    """Names of the services whose incidents triage called synthetic last."""
    return {
        row["service"] for row in await connection.fetch("SELECT service FROM synthetic_services")
    }


async def save_synthetic_services(connection: Connection, added: Set[str], gone: Set[str]) -> None:
    """Remember services that are synthetic now, and forget those that are no more."""
    await connection.execute(
        """
        WITH forgotten AS (DELETE FROM synthetic_services WHERE service = ANY($2))
        INSERT INTO synthetic_services (service) SELECT unnest($1::text[]) ON CONFLICT DO NOTHING
        """,
        sorted(added),
        sorted(gone),
    )


async def insert_timeline(connection: Connection, entries: Sequence[Entry]) -> None:
    """Add entries; a repeat finds its place taken, and what stands there stays."""
    if entries:
        await connection.execute(
            f"""
            INSERT INTO timeline ({ENTRY_COLUMNS})
            SELECT {ENTRY_COLUMNS} FROM jsonb_populate_recordset(NULL::timeline, $1)
            ORDER BY incident_id, producer, sequence
            ON CONFLICT DO NOTHING
            """,  # noqa: S608 - names of our own
            [
                {name: getattr(entry, name) for name in _ENTRY_FIELDS} for entry in entries
            ],  # `asdict` copies deeply
        )


async def insert_changes(connection: Connection, changes: Sequence[Change]) -> None:
    """Add changes; one that is known stays as it is."""
    if changes:
        await connection.execute(
            """
            INSERT INTO changes (change_id, service, kind, summary, version, source, links, made_at)
            SELECT change_id, service, kind, summary, version, source, links, made_at
            FROM jsonb_populate_recordset(NULL::changes, $1)
            ORDER BY change_id
            ON CONFLICT DO NOTHING
            """,
            [change.model_dump(mode="json") for change in changes],
        )


async def save_requests(
    connection: Connection, facts: Sequence[RequestLogged | RequestRouted]
) -> None:
    """Add requests, or their routing to known ones."""
    if facts:
        # The routing last: one statement may touch a row once, and what was routed was logged.
        newest = {
            fact.request.request_id: fact
            for fact in sorted(facts, key=lambda f: isinstance(f, RequestRouted))
        }
        await connection.execute(
            """
            INSERT INTO requests (request_id, summary, service, requester, received_at, team, reasons)
            SELECT request_id, summary, service, requester, received_at, team, reasons
            FROM jsonb_populate_recordset(NULL::requests, $1)
            ORDER BY request_id
            ON CONFLICT (request_id) DO UPDATE
            SET team = EXCLUDED.team, reasons = EXCLUDED.reasons WHERE EXCLUDED.team IS NOT NULL
            """,
            [
                {**fact.model_dump(mode="json"), **fact.request.model_dump(mode="json")}
                for fact in newest.values()
            ],
        )
