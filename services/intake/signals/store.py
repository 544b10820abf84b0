"""SQL of the log of signals."""

from collections.abc import Sequence
from datetime import datetime

from services.intake.signals.domain import Signal, Taken
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
