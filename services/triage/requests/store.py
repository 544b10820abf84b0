"""SQL of service requests."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from shared.events.triage import RequestRouted
from shared.postgres.connection import Connection
from shared.postgres.writes import Write


async def load_known_requests(connection: Connection, request_ids: Collection[UUID]) -> set[UUID]:
    """Those of the requests that were routed before."""
    rows = await connection.fetch(
        "SELECT request_id FROM requests WHERE request_id = ANY($1)", list(request_ids)
    )
    return {row["request_id"] for row in rows}


def requests_write(routed: Sequence[RequestRouted], now: datetime) -> Write | None:
    """Adds requests with the team that they went to; none of them may be there already."""
    if not routed:
        return None
    # One document, not an array per column: an array of lists would be taken for one array of two
    # dimensions.
    return Write(
        """
        INSERT INTO requests
            (request_id, team, summary, service, reasons, policy_version, routed_at)
        SELECT request_id, team, summary, service, reasons, policy_version, routed_at
        FROM jsonb_populate_recordset(NULL::requests, $1)
        ORDER BY request_id
        ON CONFLICT (request_id) DO NOTHING
        """,
        ([_row(fact, now) for fact in routed],),
        expected=len(routed),
    )


def _row(fact: RequestRouted, now: datetime) -> dict[str, object]:
    return {
        "request_id": fact.request_id,
        "team": fact.team,
        "summary": fact.request.summary,
        "service": fact.request.service,
        "reasons": fact.reasons,
        "policy_version": fact.policy_version,
        "routed_at": now,
    }
