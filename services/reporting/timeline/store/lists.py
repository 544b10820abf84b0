"""SQL of lists of incidents."""

from collections.abc import Sequence
from typing import Any

from services.reporting.timeline.domain.filters import StatusFilter
from services.reporting.timeline.store.conditions import conditions
from shared.events.reporting import IncidentSummary
from shared.postgres.connection import Connection

_SEVERAL = (StatusFilter.OPEN, StatusFilter.ALL)


async def list_incidents(
    connection: Connection,
    status: StatusFilter,
    team: str | None,
    before: int | None,
    limit: int,
    synthetic: bool = False,
) -> list[IncidentSummary]:
    """The newest incidents whose number is below `before`; the real ones, or the synthetic ones."""
    # Not parameters: the planner has to see them to choose a partial index.
    kind = "synthetic" if synthetic else "NOT synthetic"
    may_be_resolved = status in (StatusFilter.RESOLVED, StatusFilter.ALL)
    still_open = "" if may_be_resolved else " AND status <> 'resolved'"
    where, values = conditions(
        {
            "status = ?": None if status in _SEVERAL else status.value,
            "team = ?": team,
            "number < ?": before,
        }
    )
    rows = await connection.fetch(
        f"""
        SELECT state FROM incidents WHERE {kind} AND state IS NOT NULL{still_open}{where}
        ORDER BY number DESC LIMIT {limit:d}
        """,  # noqa: S608 - words of our own
        *values,
    )
    return _summaries(rows)


async def list_open(connection: Connection, team: str | None, limit: int) -> list[IncidentSummary]:
    """Open incidents by priority, the oldest first in each."""
    where, values = conditions({"team = ?": team})
    rows = await connection.fetch(
        f"""
        SELECT state FROM incidents WHERE status <> 'resolved' AND NOT synthetic{where}
        ORDER BY priority, opened_at, number LIMIT {limit:d}
        """,  # noqa: S608 - words of our own
        *values,
    )
    return _summaries(rows)


async def list_resolved(
    connection: Connection, team: str | None, limit: int
) -> list[IncidentSummary]:
    """The incidents resolved last."""
    where, values = conditions({"team = ?": team})
    rows = await connection.fetch(
        f"""
        SELECT state FROM incidents WHERE resolved_at IS NOT NULL AND NOT synthetic{where}
        ORDER BY resolved_at DESC LIMIT {limit:d}
        """,  # noqa: S608 - words of our own
        *values,
    )
    return _summaries(rows)


async def count_open(connection: Connection) -> dict[str, int]:
    """How many incidents are open, by team; under the empty text, those without a team."""
    rows = await connection.fetch(
        """
        SELECT coalesce(team, '') AS team, count(*) AS open FROM incidents
        WHERE status <> 'resolved' AND NOT synthetic GROUP BY 1
        """
    )
    return {row["team"]: row["open"] for row in rows}


def _summaries(rows: Sequence[Any]) -> list[IncidentSummary]:
    return [IncidentSummary.model_validate(row["state"]) for row in rows]
