"""SQL of the figures."""

from datetime import datetime

from services.reporting.figures.domain import Figures
from shared.postgres.connection import Connection


async def load_figures(connection: Connection, since: datetime, days: int) -> Figures:
    """The figures of the real incidents opened since then, which is `days` ago."""
    row = await connection.fetchrow(
        """
        SELECT count(*) AS opened,
            count(*) FILTER (WHERE resolved_at IS NULL) AS open,
            count(acknowledged_at) AS acknowledged,
            avg(acknowledged_at - opened_at) AS mtta,
            count(resolved_at) AS resolved,
            avg(resolved_at - opened_at) AS mttr,
            count(resolved_at) FILTER (WHERE acknowledged_at IS NULL) AS never_acknowledged
        FROM incidents WHERE opened_at >= $1 AND NOT synthetic
        """,
        since,
    )
    return Figures(days=days, **dict(row or {}))
