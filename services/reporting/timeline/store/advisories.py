"""SQL of advisories."""

from collections.abc import Sequence
from typing import Any

from shared.events.intake import Advisory
from shared.postgres.connection import Connection
from shared.postgres.writes import Write

_COLUMNS = (
    "advisory_id, advisory, status, severity, service, summary, packages, fixed_in, links, source,"
    " received_at"
)


def advisories_write(advisories: Sequence[Advisory]) -> Write | None:
    """Adds advisories; those that are there stay as they are."""
    if not advisories:
        return None
    return Write(
        f"""
        INSERT INTO advisories ({_COLUMNS})
        SELECT {_COLUMNS} FROM jsonb_populate_recordset(NULL::advisories, $1)
        ORDER BY advisory_id
        ON CONFLICT DO NOTHING
        """,  # noqa: S608 - column names of our own
        ([advisory.model_dump(mode="json") for advisory in advisories],),
    )


async def list_advisories(connection: Connection, limit: int) -> list[Any]:
    """The newest advisories, with the columns of their table."""
    return await connection.fetch(
        "SELECT * FROM advisories ORDER BY received_at DESC, advisory_id LIMIT $1", limit
    )
