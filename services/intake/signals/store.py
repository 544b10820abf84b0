"""SQL of the log of signals."""

from collections.abc import Sequence
from datetime import datetime

from services.intake.signals.domain import Signal, Taken
from shared.postgres.connection import Connection
from shared.postgres.writes import Write


def signals_write(decided: Sequence[tuple[Signal, Taken]], now: datetime) -> Write | None:
    """Logs each signal with the decision about it. Conflict when another transaction logged one
    first.
    """
    if not decided:
        return None
    return Write(
        """
        INSERT INTO signals (origin, signal_id, received_at, decision, subject)
        SELECT origin, signal_id, $5, decision, subject
        FROM unnest($1::text[], $2::text[], $3::text[], $4::uuid[])
             AS signal (origin, signal_id, decision, subject)
        ORDER BY origin, signal_id  -- one order for all writers, so that no two wait in a circle
        ON CONFLICT DO NOTHING
        """,
        (
            [signal.origin for signal, _ in decided],
            [signal.signal_id for signal, _ in decided],
            [taken.decision.value for _, taken in decided],
            [taken.subject for _, taken in decided],
            now,
        ),
        expected=len(decided),
    )


async def delete_old_signals(connection: Connection, before: datetime, limit: int = 10_000) -> int:
    """Forget at most `limit` signals received before the given instant; returns how many."""
    # In pieces: a backlog that takes longer than a statement may would never become smaller.
    done = await connection.execute(
        """
        DELETE FROM signals
        WHERE ctid = ANY (ARRAY(
            SELECT ctid FROM signals WHERE received_at < $1 LIMIT $2 FOR UPDATE SKIP LOCKED
        ))
        """,
        before,
        limit,
    )
    return int(done.split()[1])
