"""The sender's SQL: claiming pages of the delivery ledger and recording what came of them."""

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from services.escalation.delivery.domain.settlement import Claim, Receiver, Settled
from services.escalation.response.domain import Incident
from services.escalation.response.store import read_order
from shared.events.trace_context import parse_trace
from shared.postgres.connection import Connection

log = logging.getLogger(__name__)


# Each receiver's first page, found by hopping over the index from one receiver to the next, however
# many pages wait.
_FIRSTS = """
    (SELECT user_id, method, due_at FROM deliveries WHERE status IN ('pending', 'sending')
     ORDER BY user_id, method, due_at LIMIT 1)
    UNION ALL
    SELECT following.* FROM firsts CROSS JOIN LATERAL (
        SELECT user_id, method, due_at FROM deliveries d
        WHERE status IN ('pending', 'sending') AND (d.user_id, d.method) > (firsts.user_id, firsts.method)
        ORDER BY user_id, method, due_at LIMIT 1
    ) following
"""

# The share lock on the incident: an acknowledgement waits for this short transaction, or this one
# sees it, so no page starts after it. Both locks skip: the sender never waits while it holds one,
# and cannot deadlock. ANY, not a join with what was picked: of a LIMIT that it does not know the
# planner expects a tenth of all that wait, and for thousands it would read the tables from end to
# end.
_CLAIM = f"""
WITH RECURSIVE firsts AS ({_FIRSTS}), room AS (
    SELECT * FROM unnest($3::text[], $4::text[], $5::int[]) AS room (user_id, method, pages)
), picked AS (
    SELECT due.attempt_key
    FROM firsts LEFT JOIN room USING (user_id, method) CROSS JOIN LATERAL (
        SELECT d.attempt_key, d.due_at
        FROM deliveries d JOIN incidents i ON i.id = d.incident_id
        WHERE d.user_id = firsts.user_id AND d.method = firsts.method
          AND d.status IN ('pending', 'sending') AND d.due_at <= $1 AND i.status = 'triggered'
        ORDER BY d.due_at LIMIT coalesce(room.pages, $6)
        FOR UPDATE OF d SKIP LOCKED FOR SHARE OF i SKIP LOCKED
    ) due
    WHERE firsts.due_at <= $1
    ORDER BY due.due_at LIMIT $7
)
UPDATE deliveries d
SET status = 'sending', attempts = attempts + 1, due_at = $2, started_at = $1,
    possible_duplicate = possible_duplicate OR d.status = 'sending'
FROM incidents i
WHERE d.attempt_key = ANY (ARRAY (SELECT attempt_key FROM picked)) AND i.id = d.incident_id
RETURNING d.*, i.state
"""  # noqa: S608 - a constant


async def claim_deliveries(
    connection: Connection,
    now: datetime,
    lease_ends: datetime,
    room: Mapping[Receiver, int],
    room_of_others: int,
    limit: int,
) -> list[Claim]:
    """Take pages that are due, oldest first and for each receiver not more than it has `room` for.

    A page whose lease has ended is due again: its sender died, or could not record, so it is a
    possible duplicate.
    """
    rows = await connection.fetch(
        _CLAIM,
        now,
        lease_ends,
        [user for user, _ in room],
        [method for _, method in room],
        list(room.values()),
        room_of_others,
        limit,
    )
    return [claim for row in rows if (claim := _claim(row))]


def _claim(row: Any) -> Claim | None:
    try:
        incident = Incident.model_validate(row["state"])
    except ValidationError:
        # Kept by another version of this program. Its lease ends and it is looked at again; others
        # must not wait.
        log.error(
            "a page cannot be sent: its incident cannot be read",
            extra={"attempt_key": row["attempt_key"]},
        )
        return None
    return Claim(
        order=read_order(row),
        attempts=row["attempts"],
        possible_duplicate=row["possible_duplicate"],
        lease_ends=row["due_at"],
        trace=parse_trace(row["traceparent"], row["tracestate"]),
        incident=incident,
    )


_NEXT_DUE = "SELECT min(due_at) FROM firsts"


async def load_next_due(connection: Connection) -> datetime | None:
    """When the next page or lease is due."""
    due: datetime | None = await connection.fetchval(
        f"WITH RECURSIVE firsts AS ({_FIRSTS}) {_NEXT_DUE}"
    )
    return due


async def cut_abandoned(connection: Connection, now: datetime) -> datetime | None:
    """End pages whose sender died and whose incident has been taken since: they are not tried
    again.

    Returns when the next page or lease is due; one that was cut counts once more.
    """
    due: datetime | None = await connection.fetchval(
        f"""
        WITH RECURSIVE firsts AS ({_FIRSTS}), abandoned AS (
            UPDATE deliveries
            SET status = 'cut', possible_duplicate = true, last_error = 'the sender stopped while sending'
            WHERE attempt_key = ANY (ARRAY (
                SELECT d.attempt_key FROM deliveries d JOIN incidents i ON i.id = d.incident_id
                WHERE d.status = 'sending' AND d.due_at <= $1 AND i.status <> 'triggered'
                FOR UPDATE OF d SKIP LOCKED
            ))
        )
        {_NEXT_DUE}
        """,  # noqa: S608 - a constant
        now,
    )
    return due


async def lock_sending(connection: Connection, claims: Mapping[str, int]) -> set[str]:
    """Which of these pages (by key, with the number of the attempt) still wait for that attempt's
    result.
    """
    # A lease that ended was claimed again under the next number: the late result of the former
    # changes nothing.
    rows = await connection.fetch(
        """
        SELECT d.attempt_key FROM deliveries d JOIN unnest($1::text[], $2::int[]) AS claim (attempt_key, attempts)
            ON d.attempt_key = claim.attempt_key AND d.attempts = claim.attempts AND d.status = 'sending'
        ORDER BY d.attempt_key FOR UPDATE OF d
        """,
        list(claims),
        list(claims.values()),
    )
    return {row["attempt_key"] for row in rows}


async def save_settled(connection: Connection, pages: Sequence[Settled]) -> None:
    """Record what came of pages whose rows are locked."""
    await connection.execute(
        """
        UPDATE deliveries d
        SET status = page.status, due_at = page.due_at, last_error = page.error,
            possible_duplicate = page.possible_duplicate, sent_at = page.sent_at
        FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::text[], $5::bool[], $6::timestamptz[])
             AS page (attempt_key, status, due_at, error, possible_duplicate, sent_at)
        WHERE d.attempt_key = page.attempt_key
        """,
        [page.attempt_key for page in pages],
        [page.status for page in pages],
        [page.due_at for page in pages],
        [page.error for page in pages],
        [page.possible_duplicate for page in pages],
        [page.sent_at for page in pages],
    )
