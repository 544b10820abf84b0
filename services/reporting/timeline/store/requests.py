"""SQL of service requests."""

from collections.abc import Sequence
from typing import Any

from shared.events.intake import RequestLogged
from shared.events.triage import RequestRouted
from shared.postgres.connection import Connection
from shared.postgres.writes import Write


def requests_write(facts: Sequence[RequestLogged | RequestRouted]) -> Write | None:
    """Adds requests, or the routing of those that are there."""
    if not facts:
        return None
    # A statement may write a row once. What was routed was logged, so the routing says it all.
    routed_last = sorted(facts, key=lambda fact: isinstance(fact, RequestRouted))
    newest = {fact.request.request_id: fact for fact in routed_last}
    return Write(
        """
        INSERT INTO requests
            (request_id, summary, service, requester, received_at, team, reasons)
        SELECT request_id, summary, service, requester, received_at, team, reasons
        FROM jsonb_populate_recordset(NULL::requests, $1)
        ORDER BY request_id
        ON CONFLICT (request_id) DO UPDATE
        SET team = EXCLUDED.team, reasons = EXCLUDED.reasons WHERE EXCLUDED.team IS NOT NULL
        """,
        (
            [
                {**fact.model_dump(mode="json"), **fact.request.model_dump(mode="json")}
                for fact in newest.values()
            ],
        ),
    )


async def list_requests(connection: Connection, limit: int) -> list[Any]:
    """The newest requests: id, summary, service, requester, received_at, team, reasons."""
    return await connection.fetch(
        "SELECT * FROM requests ORDER BY received_at DESC, request_id LIMIT $1", limit
    )
