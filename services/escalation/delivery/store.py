"""The sender's SQL: claiming pages of the delivery ledger, and recording results."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import ValidationError

from services.escalation.delivery.domain.settlement import Claim, Receiver, Settled
from services.escalation.response.domain.escalation import PageResult
from services.escalation.response.domain.incident import Incident, PageStatus
from services.escalation.response.store import ORDER, read_order
from shared.events.trace_context import parse_trace
from shared.postgres.connection import Connection
from shared.postgres.writes import Write

log = logging.getLogger(__name__)


# Each receiver's first page, found by hopping over the index from one receiver to the next, however
# many pages wait.
_FIRSTS = """
    (SELECT user_id, method, due_at FROM deliveries WHERE status IN ('pending', 'sending')
     ORDER BY user_id, method, due_at LIMIT 1)
    UNION ALL
    SELECT following.* FROM firsts CROSS JOIN LATERAL (
        SELECT user_id, method, due_at FROM deliveries d
        WHERE status IN ('pending', 'sending')
          AND (d.user_id, d.method) > (firsts.user_id, firsts.method)
        ORDER BY user_id, method, due_at LIMIT 1
    ) following
"""

# The share lock on the incident: an acknowledgement waits for this short transaction, or this one
# sees it, so no page starts after it. Both locks skip: the sender never waits while it holds one,
# and cannot deadlock. ANY, not a join with what was picked: of a LIMIT that it does not know the
# planner expects a tenth of all that wait, and for thousands it would read the tables from end to
# end.
_CLAIM = f"""
WITH RECURSIVE firsts AS ({_FIRSTS}), capacity AS (
    SELECT * FROM unnest($3::text[], $4::text[], $5::int[]) AS capacity (user_id, method, pages)
), picked AS (
    SELECT due.attempt_key
    FROM firsts LEFT JOIN capacity USING (user_id, method) CROSS JOIN LATERAL (
        SELECT d.attempt_key, d.due_at
        FROM deliveries d JOIN incidents i ON i.id = d.incident_id
        WHERE d.user_id = firsts.user_id AND d.method = firsts.method
          AND d.status IN ('pending', 'sending') AND d.due_at <= $1 AND i.status = 'triggered'
        ORDER BY d.due_at LIMIT coalesce(capacity.pages, $6)
        FOR UPDATE OF d SKIP LOCKED FOR SHARE OF i SKIP LOCKED
    ) due
    WHERE firsts.due_at <= $1
    ORDER BY due.due_at LIMIT $7
), claimed AS (
    UPDATE deliveries d
    SET status = 'sending', attempts = attempts + 1, due_at = $2, started_at = $1,
        possible_duplicate = possible_duplicate OR d.status = 'sending'
    WHERE d.attempt_key = ANY (ARRAY (SELECT attempt_key FROM picked))
    RETURNING d.*
)
SELECT {ORDER}, attempts, possible_duplicate, due_at AS lease_ends, claimed.traceparent,
       claimed.tracestate, state
FROM claimed JOIN incidents ON incidents.id = incident_id
"""  # noqa: S608 - a constant


async def claim_deliveries(
    connection: Connection,
    now: datetime,
    lease_ends: datetime,
    capacity: Mapping[Receiver, int],
    capacity_of_others: int,
    limit: int,
) -> list[Claim]:
    """Take pages that are due, oldest first and for each receiver no more than its capacity.

    A page whose lease has ended is due again: its sender died, or could not record, so it is a
    possible duplicate.
    """
    rows = await connection.fetch(
        _CLAIM,
        now,
        lease_ends,
        [user for user, _ in capacity],
        [method for _, method in capacity],
        list(capacity.values()),
        capacity_of_others,
        limit,
    )
    incidents: dict[UUID, Incident | None] = {}
    claims = []
    for row in rows:
        id = row["incident_id"]
        if id not in incidents:
            incidents[id] = _read_incident(row)
        if incident := incidents[id]:
            claims.append(_claim(row, incident))
    return claims


def _read_incident(row: Any) -> Incident | None:
    try:
        return Incident.model_validate(row["state"])
    except ValidationError:
        # Stored by another version of this program. The page's lease ends and it is claimed again;
        # other pages must not wait.
        log.error(
            "a page cannot be sent: its incident cannot be read",
            extra={"attempt_key": row["attempt_key"]},
        )
        return None


def _claim(row: Any, incident: Incident) -> Claim:
    return Claim(
        order=read_order(row),
        attempts=row["attempts"],
        possible_duplicate=row["possible_duplicate"],
        lease_ends=row["lease_ends"],
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


async def cancel_abandoned(connection: Connection, now: datetime) -> datetime | None:
    """Cancel pages whose sender died and whose incident has been taken since: they are not tried
    again.

    Returns when the next page or lease is due; one that was just cancelled counts once more.
    """
    due: datetime | None = await connection.fetchval(
        f"""
        WITH RECURSIVE firsts AS ({_FIRSTS}), abandoned AS (
            UPDATE deliveries
            SET status = 'cut', possible_duplicate = true,
                last_error = 'the sender stopped while sending'
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


async def lock_results(
    connection: Connection, claims: Iterable[Claim], failing: Iterable[Incident]
) -> tuple[set[str], dict[UUID, dict[str, PageResult]]]:
    """The keys of claimed pages that still wait for the result of that attempt; and, for incidents
    with a page that fails, every page of the current step by its key. Their incidents are locked.
    """
    # A lease that ended was claimed again under the next number: the late result of the attempt
    # before changes nothing.
    expected = {claim.order.attempt_key: claim.attempts for claim in claims}
    steps = [(incident.id, *incident.position) for incident in failing]
    rows = await connection.fetch(
        f"""
        SELECT {ORDER}, attempts, status, last_error FROM deliveries
        WHERE attempt_key = ANY (ARRAY (
            SELECT unnest($1::text[])
            UNION
            SELECT d.attempt_key
            FROM unnest($2::uuid[], $3::int[], $4::int[]) AS current (incident_id, round, step)
            JOIN deliveries d USING (incident_id, round, step)
        ))
        ORDER BY attempt_key FOR UPDATE
        """,  # noqa: S608 - a constant
        list(expected),
        [id for id, _, _ in steps],
        [round for _, round, _ in steps],
        [step for _, _, step in steps],
    )
    waiting: set[str] = set()
    pages: dict[UUID, dict[str, PageResult]] = {id: {} for id, _, _ in steps}
    current = {id: (round, step) for id, round, step in steps}
    for row in rows:
        order = read_order(row)
        key, id = order.attempt_key, order.incident_id
        if expected.get(key) == row["attempts"] and row["status"] == PageStatus.SENDING:
            waiting.add(key)
        if current.get(id) == order.position:
            pages[id][key] = PageResult(order, PageStatus(row["status"]), row["last_error"])
    return waiting, pages


@dataclass(frozen=True, slots=True)
class SeenIncident:
    """An incident that was read without a lock. `version` is another after every save of its row,
    also after those that leave the sequence as it is.
    """

    incident: Incident
    sequence: int
    version: str


async def read_results(
    connection: Connection, claims: Sequence[Claim]
) -> tuple[dict[str, SeenIncident], int]:
    """The incidents of claimed pages that still wait for the result of that attempt, by the page's
    key, and the epoch of sequences. Nothing is locked.
    """
    rows = await connection.fetch(
        """
        SELECT d.attempt_key, i.state, i.sequence, i.xmin::text AS version, installation.epoch
        FROM unnest($1::text[], $2::int[]) AS claim (attempt_key, attempts)
        JOIN deliveries d ON d.attempt_key = claim.attempt_key AND d.attempts = claim.attempts
        JOIN incidents i ON i.id = d.incident_id
        CROSS JOIN installation
        WHERE d.status = 'sending'
        """,
        [claim.order.attempt_key for claim in claims],
        [claim.attempts for claim in claims],
    )
    seen = {
        row["attempt_key"]: SeenIncident(
            Incident.model_validate(row["state"]), row["sequence"], row["version"]
        )
        for row in rows
    }
    return seen, rows[0]["epoch"] if rows else 0


def unchanged_write(
    seen: Mapping[UUID, SeenIncident], sequences: Mapping[UUID, int], now: datetime
) -> Write:
    """Raises the sequences of incidents that nobody has saved since they were seen, and expects
    that of all of them.
    """
    # It skips locks, as `settled_write` does: a statement that waits for nobody cannot deadlock, in
    # whatever order its parts run. Whoever holds a lock is about to save another version anyway.
    return Write(
        """
        UPDATE incidents SET sequence = published.sequence, updated_at = $4
        FROM unnest($1::uuid[], $2::text[], $3::bigint[]) AS published (id, version, sequence)
        WHERE incidents.id = ANY (ARRAY (
            SELECT id FROM incidents WHERE id = ANY ($1::uuid[]) FOR NO KEY UPDATE SKIP LOCKED
        )) AND incidents.id = published.id AND incidents.xmin::text = published.version
        """,
        (list(seen), [one.version for one in seen.values()], [sequences[id] for id in seen], now),
        expected=len(seen),
    )


def settled_write(pages: Sequence[Settled]) -> Write | None:
    """Records results of attempts, and expects that all of them are still awaited."""
    if not pages:
        return None
    return Write(
        """
        UPDATE deliveries d
        SET status = page.status, due_at = page.due_at, last_error = page.error,
            possible_duplicate = page.possible_duplicate, sent_at = page.sent_at
        FROM unnest($1::text[], $2::int[], $3::text[], $4::timestamptz[], $5::text[], $6::bool[],
                    $7::timestamptz[])
             AS page (attempt_key, attempts, status, due_at, error, possible_duplicate, sent_at)
        WHERE d.attempt_key = ANY (ARRAY (
            SELECT attempt_key FROM deliveries WHERE attempt_key = ANY ($1::text[])
            FOR NO KEY UPDATE SKIP LOCKED
        )) AND d.attempt_key = page.attempt_key AND d.attempts = page.attempts
          AND d.status = 'sending'
        """,
        (
            [page.attempt_key for page in pages],
            [page.attempts for page in pages],
            [page.status for page in pages],
            [page.due_at for page in pages],
            [page.error for page in pages],
            [page.possible_duplicate for page in pages],
            [page.sent_at for page in pages],
        ),
        expected=len(pages),
    )
