"""SQL of the log of signals."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from services.intake.signals.domain.explanation import Explained, explanations, pack, unpack
from shared.postgres.connection import Connection
from shared.postgres.writes import Write

_MAX_EXPLAINED = 20
_LOGGED = """
    origin, signal_id, received_at, decision, subject, batch_place,
    (SELECT document FROM explanations WHERE explanations.batch = signals.batch) AS document
"""


def signals_write(
    decided: Sequence[Explained], now: datetime, batch: UUID | None = None
) -> Write | None:
    """Logs each signal with the decision about it; `batch` has their explanations, in this order.
    Conflict when another transaction logged one first.
    """
    if not decided:
        return None
    return Write(
        """
        INSERT INTO signals (origin, signal_id, received_at, decision, subject, batch, batch_place)
        SELECT origin, signal_id, $5, decision, subject, $6::uuid, place - 1
        FROM unnest($1::text[], $2::text[], $3::text[], $4::uuid[])
             WITH ORDINALITY AS signal (origin, signal_id, decision, subject, place)
        ORDER BY origin, signal_id  -- one order for all writers, so that no two wait in a circle
        ON CONFLICT DO NOTHING
        """,
        (
            [signal.origin for signal, _ in decided],
            [signal.signal_id for signal, _ in decided],
            [taken.decision.value for _, taken in decided],
            [taken.subject for _, taken in decided],
            now,
            batch,
        ),
        expected=len(decided),
    )


def explanations_write(
    batch: UUID, decided: Sequence[Explained], version: str, now: datetime
) -> Write | None:
    """Keeps why the decisions of a batch were made, by the policy of this version."""
    if not decided:
        return None
    return Write(
        "INSERT INTO explanations (batch, decided_at, document) VALUES ($1, $2, $3)",
        (batch, now, pack(explanations(decided, version))),
    )


async def find_signals(connection: Connection, signal_id: str) -> list[dict[str, Any]]:
    """The logged signals with this id, of any origin. There are few origins, each is one look into
    the index.
    """
    rows = await connection.fetch(
        f"""
        WITH RECURSIVE origins AS (
            (SELECT origin FROM signals ORDER BY origin LIMIT 1)
            UNION ALL
            SELECT (SELECT origin FROM signals WHERE signals.origin > origins.origin
                    ORDER BY origin LIMIT 1)
            FROM origins WHERE origins.origin IS NOT NULL
        )
        SELECT found.* FROM origins CROSS JOIN LATERAL (
            SELECT {_LOGGED} FROM signals
            WHERE signals.origin = origins.origin AND signal_id = $1
        ) AS found
        LIMIT $2
        """,  # noqa: S608 - column names of our own
        signal_id,
        _MAX_EXPLAINED,
    )
    return [_explained(row) for row in rows]


async def load_signals_of(
    connection: Connection,
    incident_id: UUID,
    opening: tuple[datetime, datetime],
    origin: str,
    ids: Sequence[str],
) -> list[dict[str, Any]]:
    """What is logged of an incident: signals that came within the span of its opening, and those of
    its origin with these ids.
    """
    rows = await connection.fetch(
        f"""
        SELECT {_LOGGED} FROM signals WHERE received_at BETWEEN $2 AND $3 AND subject = $1
        UNION
        SELECT {_LOGGED} FROM signals
        WHERE origin = $4 AND signal_id = ANY ($5::text[]) AND subject = $1
        ORDER BY received_at, signal_id LIMIT $6
        """,  # noqa: S608 - column names of our own
        incident_id,
        *opening,
        origin,
        list(ids),
        _MAX_EXPLAINED,
    )
    return [_explained(row) for row in rows]


def _explained(row: Any) -> dict[str, Any]:
    logged = dict(row)
    document, place = logged.pop("document"), logged.pop("batch_place")
    return logged | {"explanation": unpack(document, place) if document else None}
