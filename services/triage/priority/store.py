"""SQL of the decisions on incidents."""

from collections.abc import Collection, Mapping
from datetime import datetime
from uuid import UUID

from services.triage.priority.domain import State
from shared.events.triage import TriagedIncident
from shared.postgres.connection import Connection
from shared.postgres.installation import EPOCH
from shared.postgres.writes import Write


async def load_states(
    connection: Connection, incident_ids: Collection[UUID]
) -> tuple[dict[UUID, State], int]:
    """The states of the incidents that are known (locked in order of id), and the epoch."""
    rows = await connection.fetch(
        f"""
        WITH locked AS (
            SELECT incident_id, sequence, triage::text FROM incidents
            WHERE incident_id = ANY($1) ORDER BY incident_id FOR UPDATE
        )
        SELECT {EPOCH} AS epoch, locked.* FROM (VALUES (1)) AS always LEFT JOIN locked ON true
        """,  # noqa: S608 - a constant of ours
        list(incident_ids),
    )
    states = {
        row["incident_id"]: State(
            TriagedIncident.model_validate_json(row["triage"]), row["sequence"]
        )
        for row in rows
        if row["incident_id"] is not None
    }
    return states, rows[0]["epoch"]


def states_write(
    states: Mapping[UUID, State], before: Mapping[UUID, int], epoch: int, now: datetime
) -> Write | None:
    """Sets the newest state of each incident, whose row must still have the sequence that it had
    `before`; an incident without one must be new. The epoch must still be the one of the sequences.
    """
    if not states:
        return None
    return Write(
        f"""
        INSERT INTO incidents (incident_id, intake_sequence, sequence, triage, decided_at)
        SELECT incident_id, intake_sequence, sequence, triage::jsonb, $5
        FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::text[])
             AS new (incident_id, intake_sequence, sequence, triage)
        WHERE {EPOCH} = $8
        ORDER BY incident_id
        ON CONFLICT (incident_id) DO UPDATE
        SET (intake_sequence, sequence, triage, decided_at)
          = (EXCLUDED.intake_sequence, EXCLUDED.sequence, EXCLUDED.triage, EXCLUDED.decided_at)
        WHERE (incidents.incident_id, incidents.sequence)
            IN (SELECT * FROM unnest($6::uuid[], $7::bigint[]))
        """,  # noqa: S608 - a constant of ours
        (
            list(states),
            [state.triage.intake_sequence for state in states.values()],
            [state.sequence for state in states.values()],
            [state.triage.model_dump_json() for state in states.values()],
            now,
            list(before),
            list(before.values()),
            epoch,
        ),
        expected=len(states),
    )
