"""SQL of incidents and of the pages that are ordered about them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from services.escalation.policies.domain.page_order import PageOrder
from services.escalation.response.domain.incident import Incident, PageStatus
from shared.events.trace_context import TraceContext
from shared.postgres.connection import Connection
from shared.postgres.errors import Conflict
from shared.postgres.installation import EPOCH
from shared.postgres.writes import Write

_COLUMNS = {field.name: field.name for field in fields(PageOrder)} | {"user": "user_id"}
"""The column of each field of a page."""
_COLUMN_LIST = ", ".join(_COLUMNS.values())
ORDER = ", ".join(f'{column} AS "{field}"' for field, column in _COLUMNS.items())
"""What to select of `deliveries` for `read_order`."""


@dataclass(frozen=True, slots=True)
class StoredIncident:
    """An incident with the sequence of its newest event and the place in its trace that later spans
    hang from.
    """

    incident: Incident
    sequence: int
    trace: TraceContext


async def lock_incidents(
    connection: Connection, ids: Sequence[UUID]
) -> tuple[dict[UUID, StoredIncident], int]:
    """The incidents that exist, locked until the transaction ends, and the epoch of sequences."""
    # Ordered, and locked before anything is updated: batches that share incidents wait for each
    # other and never deadlock. Other rows are read by later statements: this one may have waited,
    # and sees them as they were before.
    rows = await connection.fetch(
        """
        WITH locked AS (
            SELECT id, sequence, state, traceparent, tracestate
            FROM incidents WHERE id = ANY ($1::uuid[]) ORDER BY id FOR UPDATE
        )
        SELECT installation.epoch, locked.* FROM installation LEFT JOIN locked ON true
        """,
        ids,
    )
    known = {row["id"]: _stored(row) for row in rows if row["id"] is not None}
    return known, rows[0]["epoch"]


def _stored(row: Any) -> StoredIncident:
    trace = TraceContext(row["traceparent"], row["tracestate"])
    return StoredIncident(Incident.model_validate(row["state"]), row["sequence"], trace)


async def load_epoch_of_new(connection: Connection, ids: Sequence[UUID]) -> int:
    """The epoch of sequences. Raises Conflict when one of the incidents exists."""
    row = await connection.fetchrow(
        f"SELECT {EPOCH}, EXISTS (SELECT FROM incidents WHERE id = ANY ($1::uuid[]))",  # noqa: S608
        ids,
    )
    epoch, exists = row or (0, True)
    if exists:
        raise Conflict("a response exists, and has to be locked")
    return int(epoch)


def new_incidents_write(
    incidents: Sequence[StoredIncident], epoch: int, now: datetime
) -> Write | None:
    """Inserts incidents, none of which may exist, under the epoch of their sequences."""
    if not incidents:
        return None
    return Write(
        f"{_INSERT} WHERE {EPOCH} = $9 ON CONFLICT (id) DO NOTHING",
        (*_rows(incidents, now), epoch),
        expected=len(incidents),
    )


def incidents_write(incidents: Sequence[StoredIncident], now: datetime) -> Write | None:
    """Writes back incidents that the caller has locked."""
    if not incidents:
        return None
    return Write(
        f"""
        {_INSERT}
        ON CONFLICT (id) DO UPDATE SET
            number = excluded.number, status = excluded.status, sequence = excluded.sequence,
            state = excluded.state, updated_at = excluded.updated_at
        """,
        _rows(incidents, now),
    )


_INSERT = """
    INSERT INTO incidents
        (id, number, status, sequence, state, traceparent, tracestate, updated_at)
    SELECT *, $8::timestamptz
    FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::bigint[], $5::jsonb[], $6::text[],
                $7::text[])
"""


def _rows(incidents: Sequence[StoredIncident], now: datetime) -> tuple[Any, ...]:
    return (
        [stored.incident.id for stored in incidents],
        [stored.incident.response.number for stored in incidents],
        [stored.incident.response.status for stored in incidents],
        [stored.sequence for stored in incidents],
        [stored.incident.model_dump(mode="json") for stored in incidents],
        [stored.trace.traceparent for stored in incidents],
        [stored.trace.tracestate for stored in incidents],
        now,
    )


def sequences_write(sequences: Mapping[UUID, int], now: datetime) -> Write | None:
    """Bumps the sequence of locked incidents that only published events."""
    if not sequences:
        return None
    return Write(
        """
        UPDATE incidents SET sequence = published.sequence, updated_at = $3
        FROM unnest($1::uuid[], $2::bigint[]) AS published (id, sequence)
        WHERE incidents.id = published.id
        """,
        (list(sequences), list(sequences.values()), now),
    )


async def list_unsent(connection: Connection, ids: Sequence[UUID]) -> list[PageOrder]:
    """The pages of these (locked) incidents that wait for a first or another attempt."""
    rows = await connection.fetch(
        f"""
        SELECT {ORDER} FROM deliveries
        WHERE incident_id = ANY ($1::uuid[]) AND status = 'pending'
        ORDER BY created_at, attempt_key
        """,  # noqa: S608 - a constant
        ids,
    )
    return [read_order(row) for row in rows]


def read_order(row: Any) -> PageOrder:
    """The order of a row that was selected with ORDER."""
    values = {field: row[field] for field in _COLUMNS}
    return PageOrder(**values | {"why": tuple(row["why"])})


def pages_write(
    pages: Sequence[tuple[PageOrder, PageStatus, TraceContext]], now: datetime
) -> Write | None:
    """Adds pages to the ledger, due at once, and wakes the sender."""
    if not pages:
        return None
    # DO NOTHING: a step that is decided again after a crash has the same keys, and a page that was
    # sent stays sent. As text: in an array of jsonb a list would count as one more dimension.
    rows = [
        {column: getattr(page, field) for field, column in _COLUMNS.items()}
        | {"status": status}
        | trace._asdict()
        for page, status, trace in pages
    ]
    return Write(
        f"""
        INSERT INTO deliveries
            ({_COLUMN_LIST}, status, traceparent, tracestate, due_at, created_at)
        SELECT {_COLUMN_LIST}, status, traceparent, tracestate, $2, $2
        FROM jsonb_populate_recordset(NULL::deliveries, $1::text::jsonb)
        ON CONFLICT (attempt_key) DO NOTHING
        """,  # noqa: S608 - a constant
        (orjson.dumps(rows).decode(), now),
        notify="deliveries",
    )


def cancellations_write(ids: Sequence[UUID]) -> Write | None:
    """Cancels the pages of these (locked) incidents that are not on their way. It does not see
    pages that the same statement adds.
    """
    if not ids:
        return None
    # Pages that are being sent started before this transaction commits: the sender claims under a
    # share lock on the incident.
    return Write(
        """
        UPDATE deliveries SET status = 'cut'
        WHERE incident_id = ANY ($1::uuid[]) AND status = 'pending'
        """,
        (list(ids),),
    )


async def find_incident(connection: Connection, number: int) -> UUID | None:
    """The id of the incident with this number (the newest, in case a number was given twice)."""
    found: UUID | None = await connection.fetchval(
        "SELECT id FROM incidents WHERE number = $1 ORDER BY updated_at DESC LIMIT 1", number
    )
    return found


async def load_incident(connection: Connection, reference: UUID | int) -> StoredIncident | None:
    """One incident for reading, by its id or its number."""
    id = reference if isinstance(reference, UUID) else await find_incident(connection, reference)
    query = "SELECT sequence, state, traceparent, tracestate FROM incidents WHERE id = $1"
    row = await connection.fetchrow(query, id)
    return _stored(row) if row else None


async def list_pages(connection: Connection, incident_id: UUID) -> list[dict[str, Any]]:
    """The ledger of an incident, oldest page first, as the API shows it."""
    rows = await connection.fetch(
        """
        SELECT attempt_key, user_id AS user, method, step, round, why, status, attempts, due_at,
               last_error, possible_duplicate, created_at, started_at, sent_at
        FROM deliveries WHERE incident_id = $1 ORDER BY created_at, attempt_key
        """,
        incident_id,
    )
    return [dict(row) for row in rows]
