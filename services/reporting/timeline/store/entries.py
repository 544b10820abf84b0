"""SQL of timelines."""

from collections.abc import Sequence
from dataclasses import fields
from uuid import UUID

from services.reporting.timeline.domain.entries import TimelineEntry
from shared.postgres.connection import Connection
from shared.postgres.writes import Write

_FIELDS = [field.name for field in fields(TimelineEntry)]
_COLUMNS = ", ".join(_FIELDS)
_REPEATED = ["IncidentUpdated", "TriageConfirmed"]
_MAX_REPEATED = 40
_MAX_OTHERS = 1000


def timeline_write(entries: Sequence[TimelineEntry]) -> Write | None:
    """Adds entries; those that are there stay as they are."""
    if not entries:
        return None
    return Write(
        f"""
        INSERT INTO timeline ({_COLUMNS})
        SELECT {_COLUMNS} FROM jsonb_populate_recordset(NULL::timeline, $1)
        ORDER BY incident_id, producer, sequence
        ON CONFLICT DO NOTHING
        """,  # noqa: S608 - names of our own
        # Not `asdict`, which copies deeply.
        ([{name: getattr(entry, name) for name in _FIELDS} for entry in entries],),
    )


async def list_timeline(
    connection: Connection, incident_id: UUID
) -> tuple[list[TimelineEntry], int]:
    """An incident's entries in order of time, and how many are left out.

    A storm repeats the same two types for hours: of these, only the newest are kept, so that they
    displace nothing else.
    """
    rows = await connection.fetch(
        f"""
        SELECT {_COLUMNS}, total FROM (
            SELECT *, count(*) OVER () AS total, row_number() OVER (
                PARTITION BY type = ANY($2) ORDER BY at DESC, sequence DESC
            ) AS place
            FROM timeline WHERE incident_id = $1
        )
        WHERE place <= CASE WHEN type = ANY($2) THEN $3::integer ELSE $4::integer END
        ORDER BY at, sequence
        """,  # noqa: S608 - names of our own
        incident_id,
        _REPEATED,
        _MAX_REPEATED,
        _MAX_OTHERS,
    )
    entries = [TimelineEntry(**{name: row[name] for name in _FIELDS}) for row in rows]
    return entries, rows[0]["total"] - len(rows) if rows else 0
