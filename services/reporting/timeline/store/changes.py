"""SQL of changes."""

from collections.abc import Sequence
from datetime import datetime

from services.reporting.timeline.store.conditions import conditions
from shared.events.intake import Change
from shared.postgres.connection import Connection
from shared.postgres.writes import Write


def changes_write(changes: Sequence[Change]) -> Write | None:
    """Adds changes; those that are there stay as they are."""
    if not changes:
        return None
    return Write(
        """
        INSERT INTO changes (change_id, service, kind, summary, version, source, links, made_at)
        SELECT change_id, service, kind, summary, version, source, links, made_at
        FROM jsonb_populate_recordset(NULL::changes, $1)
        ORDER BY change_id
        ON CONFLICT DO NOTHING
        """,
        ([change.model_dump(mode="json") for change in changes],),
    )


async def list_changes(
    connection: Connection, service: str | None, since: datetime, until: datetime, limit: int
) -> list[Change]:
    """The newest changes made in the period, of a service or of all."""
    where, values = conditions(
        {"made_at >= ?": since, "made_at <= ?": until, "service = ?": service}
    )
    rows = await connection.fetch(
        f"""
        SELECT change_id, service, kind, summary, version, source, links, made_at,
            made_at AS received_at
        FROM changes WHERE true{where}
        ORDER BY made_at DESC LIMIT {limit:d}
        """,  # noqa: S608 - words of our own
        *values,
    )
    return [Change.model_validate(dict(row)) for row in rows]
