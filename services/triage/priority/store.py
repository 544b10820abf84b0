"""All SQL of triage. Every function takes a connection inside the caller's transaction and works on
whole sets.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from services.triage.priority.domain import State
from shared.events.triage import RequestRouted, TriagedIncident
from shared.postgres.connection import Connection


async def load_states(connection: Connection, incident_ids: Collection[UUID]) -> dict[UUID, State]:
    """What is known of the incidents, their rows locked in order of id; unknown ones are left out."""
    rows = await connection.fetch(
        """
        SELECT incident_id, sequence, triage FROM incidents
        WHERE incident_id = ANY($1) ORDER BY incident_id FOR UPDATE
        """,
        list(incident_ids),
    )
    return {
        row["incident_id"]: State(TriagedIncident.model_validate(row["triage"]), row["sequence"])
        for row in rows
    }


async def save_states(connection: Connection, states: Mapping[UUID, State], now: datetime) -> None:
    """Write the newest state of each incident. Only the owner of an incident's partition gets here
    for it.
    """
    if states:
        await connection.execute(
            """
            INSERT INTO incidents (incident_id, intake_sequence, sequence, triage, decided_at)
            SELECT incident_id, intake_sequence, sequence, triage, $5
            FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::jsonb[])
                 AS new (incident_id, intake_sequence, sequence, triage)
            ORDER BY incident_id
            ON CONFLICT (incident_id) DO UPDATE
            SET (intake_sequence, sequence, triage, decided_at)
              = (EXCLUDED.intake_sequence, EXCLUDED.sequence, EXCLUDED.triage, EXCLUDED.decided_at)
            """,
            list(states),
            [state.triage.intake_sequence for state in states.values()],
            [state.sequence for state in states.values()],
            [state.triage.model_dump(mode="json") for state in states.values()],
            now,
        )


async def insert_requests(
    connection: Connection, routed: Sequence[RequestRouted], now: datetime
) -> set[UUID]:
    """Keep where requests went; returns the ids that were new."""
    new = [
        {
            "request_id": request.request_id,
            "team": request.team,
            "summary": request.request.summary,
            "service": request.request.service,
            "reasons": request.reasons,
            "policy_version": request.policy_version,
            "routed_at": now,
        }
        for request in routed
    ]
    # One document, not an array a column: an array of lists would be taken for one array of two
    # dimensions.
    rows = await connection.fetch(
        """
        INSERT INTO requests (request_id, team, summary, service, reasons, policy_version, routed_at)
        SELECT request_id, team, summary, service, reasons, policy_version, routed_at
        FROM jsonb_populate_recordset(NULL::requests, $1)
        ORDER BY request_id
        ON CONFLICT (request_id) DO NOTHING
        RETURNING request_id
        """,
        new,
    )
    return {row["request_id"] for row in rows}
