"""What the API and the console read."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any
from uuid import UUID

from services.reporting.figures.domain import Figures
from services.reporting.timeline.domain.state import Incident
from services.reporting.timeline.domain.timeline import Entry
from services.reporting.timeline.store import ENTRY_COLUMNS, STATE_COLUMNS, read_incident
from shared.events.intake import Change
from shared.events.reporting import IncidentSummary
from shared.postgres.connection import Connection

_REPEATED = ["IncidentUpdated", "TriageConfirmed"]
_MOST_REPEATED = 40
_MOST_OTHERS = 1000


async def list_incidents(
    connection: Connection,
    status: str | None,
    team: str | None,
    before: int | None,
    limit: int,
    synthetic: bool = False,
) -> list[IncidentSummary]:
    """The newest incidents whose number is below `before`, or the newest synthetic ones; None does
    not filter.

    A status of `open` is every one but `resolved`.
    """
    # Not parameters: the partial indexes need to see what is asked for.
    kind = "synthetic" if synthetic else "NOT synthetic"
    still_open = " AND status <> 'resolved'" if status not in (None, "resolved") else ""
    where, values = _matching(
        {"status = ?": None if status == "open" else status, "team = ?": team, "number < ?": before}
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
    where, values = _matching({"team = ?": team})
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
    where, values = _matching({"team = ?": team})
    rows = await connection.fetch(
        f"""
        SELECT state FROM incidents WHERE resolved_at IS NOT NULL AND NOT synthetic{where}
        ORDER BY resolved_at DESC LIMIT {limit:d}
        """,  # noqa: S608 - words of our own
        *values,
    )
    return _summaries(rows)


def _matching(conditions: Mapping[str, object]) -> tuple[str, list[object]]:
    """What goes behind a WHERE: the conditions (their value written `?`) that have a value, and the
    values.
    """
    # `$1 IS NULL OR team = $1` instead is one plan for both: it reads all rows to find the few of a
    # team.
    asked = {condition: value for condition, value in conditions.items() if value is not None}
    texts = [
        f" AND {condition.replace('?', f'${place}')}"
        for place, condition in enumerate(asked, start=1)
    ]
    return "".join(texts), list(asked.values())


def _summaries(rows: Sequence[Any]) -> list[IncidentSummary]:
    return [IncidentSummary.model_validate(row["state"]) for row in rows]


async def count_open(connection: Connection) -> dict[str, int]:
    """How many incidents are open, by team; those without one count under the empty text."""
    rows = await connection.fetch(
        """
        SELECT coalesce(team, '') AS team, count(*) AS open FROM incidents
        WHERE status <> 'resolved' AND NOT synthetic GROUP BY 1
        """
    )
    return {row["team"]: row["open"] for row in rows}


async def load_incident(connection: Connection, reference: UUID | int) -> Incident | None:
    """By id or number."""
    column = "incident_id" if isinstance(reference, UUID) else "number"
    row = await connection.fetchrow(
        f"SELECT {', '.join(STATE_COLUMNS)} FROM incidents WHERE {column} = $1 AND state IS NOT NULL",  # noqa: S608
        reference,
    )
    return read_incident(row) if row else None


async def list_timeline(connection: Connection, incident_id: UUID) -> tuple[list[Entry], int]:
    """An incident's entries in order of time, and how many were left out.

    A storm repeats the same two for hours: of these the newest stand for all, so that they hide
    nothing else.
    """
    rows = await connection.fetch(
        f"""
        SELECT {ENTRY_COLUMNS}, total FROM (
            SELECT *, count(*) OVER () AS total,
                row_number() OVER (PARTITION BY type = ANY($2) ORDER BY at DESC, sequence DESC) AS place
            FROM timeline WHERE incident_id = $1
        )
        WHERE place <= CASE WHEN type = ANY($2) THEN $3::integer ELSE $4::integer END
        ORDER BY at, sequence
        """,  # noqa: S608 - names of our own
        incident_id,
        _REPEATED,
        _MOST_REPEATED,
        _MOST_OTHERS,
    )
    entries = [Entry(**{field.name: row[field.name] for field in fields(Entry)}) for row in rows]
    return entries, rows[0]["total"] - len(rows) if rows else 0


async def list_changes(
    connection: Connection, service: str | None, since: datetime, until: datetime, limit: int
) -> list[Change]:
    """The newest changes made in the period; None takes those of every service."""
    where, values = _matching(
        {"made_at >= ?": since, "made_at <= ?": until, "service = ?": service}
    )
    rows = await connection.fetch(
        f"""
        SELECT change_id, service, kind, summary, version, source, links, made_at, made_at AS received_at FROM changes
        WHERE true{where}
        ORDER BY made_at DESC LIMIT {limit:d}
        """,  # noqa: S608 - words of our own
        *values,
    )
    return [Change.model_validate(dict(row)) for row in rows]


async def list_requests(connection: Connection, limit: int) -> list[Any]:
    """The newest service requests: request_id, summary, service, requester, received_at, team,
    reasons.
    """
    return await connection.fetch(
        "SELECT * FROM requests ORDER BY received_at DESC, request_id LIMIT $1", limit
    )


async def load_figures(connection: Connection, since: datetime, days: int) -> Figures:
    """The figures over the real incidents opened since then, which is `days` ago."""
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
