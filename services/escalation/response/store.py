"""All SQL of escalation but the sender's: incidents and what is ordered about them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from services.escalation.policies.domain import PageOrder
from services.escalation.response.domain import Incident
from shared.events.trace_context import TraceContext
from shared.postgres.connection import Connection


@dataclass(frozen=True, slots=True)
class Stored:
    """An incident with the sequence of its newest event and the place in its trace that later spans
    hang from.
    """

    incident: Incident
    sequence: int
    trace: TraceContext


async def load_incidents(connection: Connection, ids: Sequence[UUID]) -> dict[UUID, Stored]:
    """The incidents that exist, locked until the transaction ends."""
    # Ordered, and locked before anything is updated: two batches that share incidents wait, and
    # never deadlock.
    rows = await connection.fetch(
        """
        SELECT id, sequence, state, traceparent, tracestate
        FROM incidents WHERE id = ANY ($1::uuid[]) ORDER BY id FOR UPDATE
        """,
        ids,
    )
    return {row["id"]: _stored(row) for row in rows}


def _stored(row: Any) -> Stored:
    trace = TraceContext(row["traceparent"], row["tracestate"])
    return Stored(Incident.model_validate(row["state"]), row["sequence"], trace)


async def save_incidents(
    connection: Connection, incidents: Sequence[Stored], now: datetime
) -> None:
    """Insert or update; the caller holds the locks of those that exist."""
    # Nobody else inserts the same incident: it comes from one topic-partition, whose offset row is
    # locked.
    await connection.execute(
        """
        INSERT INTO incidents (id, number, status, sequence, state, traceparent, tracestate, updated_at)
        SELECT *, $8 FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::bigint[], $5::jsonb[],
                                 $6::text[], $7::text[])
        ON CONFLICT (id) DO UPDATE SET
            number = excluded.number, status = excluded.status, sequence = excluded.sequence,
            state = excluded.state, updated_at = excluded.updated_at
        """,
        [stored.incident.id for stored in incidents],
        [stored.incident.response.number for stored in incidents],
        [stored.incident.response.status for stored in incidents],
        [stored.sequence for stored in incidents],
        [stored.incident.model_dump(mode="json") for stored in incidents],
        [stored.trace.traceparent for stored in incidents],
        [stored.trace.tracestate for stored in incidents],
        now,
    )


async def save_sequences(
    connection: Connection, sequences: Mapping[UUID, int], now: datetime
) -> None:
    """Of incidents (locked) that events told of, and nothing else changed in."""
    await connection.execute(
        """
        UPDATE incidents SET sequence = told.sequence, updated_at = $3
        FROM unnest($1::uuid[], $2::bigint[]) AS told (id, sequence) WHERE incidents.id = told.id
        """,
        list(sequences),
        list(sequences.values()),
        now,
    )


async def list_unsent(connection: Connection, ids: Sequence[UUID]) -> list[PageOrder]:
    """The pages of these (locked) incidents that wait for a first or another attempt."""
    rows = await connection.fetch(
        """
        SELECT attempt_key, incident_id, user_id, method, step, round, why
        FROM deliveries WHERE incident_id = ANY ($1::uuid[]) AND status = 'pending' ORDER BY created_at, attempt_key
        """,
        ids,
    )
    return [read_order(row) for row in rows]


def read_order(row: Any) -> PageOrder:
    """The order of a row of the ledger."""
    return PageOrder(
        attempt_key=row["attempt_key"],
        incident_id=row["incident_id"],
        user=row["user_id"],
        method=row["method"],
        step=row["step"],
        round=row["round"],
        why=tuple(row["why"]),
    )


async def insert_deliveries(
    connection: Connection, pages: Sequence[tuple[PageOrder, TraceContext]], now: datetime
) -> None:
    """Put pages into the ledger, due at once, and wake the sender when the transaction commits."""
    # DO NOTHING: a step that is decided again after a crash has the same keys, and what was sent
    # stays sent.
    await connection.execute(
        """
        WITH inserted AS (
            INSERT INTO deliveries (attempt_key, incident_id, user_id, method, step, round, why,
                                    traceparent, tracestate, due_at, created_at)
            SELECT attempt_key, incident_id, user_id, method, step, round, why::jsonb, traceparent, tracestate, $10, $10
            FROM unnest($1::text[], $2::uuid[], $3::text[], $4::text[], $5::int[], $6::int[],
                        $7::text[], $8::text[], $9::text[])
                 AS page (attempt_key, incident_id, user_id, method, step, round, why, traceparent, tracestate)
            ON CONFLICT (attempt_key) DO NOTHING
        )
        SELECT pg_notify(current_schema || '.deliveries', '')
        """,
        [page.attempt_key for page, _ in pages],
        [page.incident_id for page, _ in pages],
        [page.user for page, _ in pages],
        [page.method for page, _ in pages],
        [page.step for page, _ in pages],
        [page.round for page, _ in pages],
        # As text: in an array of jsonb, a list counts as one more dimension.
        [orjson.dumps(page.why).decode() for page, _ in pages],
        [trace.traceparent for _, trace in pages],
        [trace.tracestate for _, trace in pages],
        now,
    )


async def cut_deliveries(connection: Connection, ids: Sequence[UUID]) -> None:
    """End the pages of these (locked) incidents that are not on their way."""
    # Those being sent started before this transaction commits: the sender claims under a share lock
    # on the incident.
    await connection.execute(
        "UPDATE deliveries SET status = 'cut' WHERE incident_id = ANY ($1::uuid[]) AND status = 'pending'",
        ids,
    )


async def find_incident(connection: Connection, reference: UUID | int) -> UUID | None:
    """The id of an incident by itself or by its number (the newest, should a number have come
    twice).
    """
    column = "id" if isinstance(reference, UUID) else "number"
    found: UUID | None = await connection.fetchval(
        f"SELECT id FROM incidents WHERE {column} = $1 ORDER BY updated_at DESC LIMIT 1",  # noqa: S608 - a constant
        reference,
    )
    return found


async def load_view(
    connection: Connection, incident_id: UUID
) -> tuple[Stored, list[dict[str, Any]]]:
    """An incident and its ledger, oldest page first, for reading. The incident exists."""
    row = await connection.fetchrow(
        "SELECT sequence, state, traceparent, tracestate FROM incidents WHERE id = $1", incident_id
    )
    pages = await connection.fetch(
        """
        SELECT attempt_key, user_id AS user, method, step, round, why, status, attempts, due_at, last_error,
               possible_duplicate, created_at, started_at, sent_at
        FROM deliveries WHERE incident_id = $1 ORDER BY created_at, attempt_key
        """,
        incident_id,
    )
    return _stored(row), [dict(page) for page in pages]
