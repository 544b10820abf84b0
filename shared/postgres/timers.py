"""Timers: rows that survive any restart and fire once, on whichever replica claims them first."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from shared.events.trace_context import TraceContext, parse_trace
from shared.kafka.dead_letters.writing import count_from, dead_letter, reason_of
from shared.postgres.connection import Connection
from shared.postgres.database import Database
from shared.postgres.errors import UNAVAILABLE, Conflict
from shared.postgres.isolation import isolate
from shared.postgres.outbox import outbox_write
from shared.postgres.wake import wait_at_most
from shared.postgres.writes import Write, write_together
from shared.runtime.backoff import Backoff
from shared.runtime.clock import Clock

log = logging.getLogger(__name__)

_BATCH = 100
_MAX_SLEEP_SECONDS = 30.0
_CLAIMED_SECONDS = 1.0
_RETRY_AFTER = timedelta(minutes=5)
_SOON = timedelta(seconds=2 * _MAX_SLEEP_SECONDS)


@dataclass(frozen=True, slots=True)
class Timer:
    """`subject` is what it is about; `id` is None until it is stored. Timers are never cancelled:
    handlers ignore stale ones, which they recognise by the subject's state.
    """

    kind: str
    subject: UUID
    due_at: datetime
    payload: dict[str, Any] = field(default_factory=dict)
    trace: TraceContext | None = None
    id: int | None = None


Fire = Callable[[Connection, Sequence[Timer]], Awaitable[None]]
"""Handles due timers, with all effects on the connection, in the ticker's transaction."""


def timers_write(timers: Sequence[Timer], now: datetime) -> Write | None:
    """Stores timers, and wakes the ticker if it might sleep past one of them; None without any."""
    if not timers:
        return None
    soon = min(timer.due_at for timer in timers) < now + _SOON
    return Write(
        """
        INSERT INTO timers (kind, subject, due_at, payload, traceparent, tracestate)
        SELECT * FROM unnest(
            $1::text[], $2::uuid[], $3::timestamptz[], $4::jsonb[], $5::text[], $6::text[]
        )
        """,
        (
            [timer.kind for timer in timers],
            [timer.subject for timer in timers],
            [timer.due_at for timer in timers],
            [timer.payload for timer in timers],
            [timer.trace and timer.trace.traceparent for timer in timers],
            [timer.trace and timer.trace.tracestate for timer in timers],
        ),
        notify="timers" if soon else None,
    )


async def claim_timers(connection: Connection, now: datetime, limit: int) -> list[Timer]:
    """Delete timers that are due, oldest first, in the caller's transaction, and return them."""
    # An array, not IN: that is a join, which may read all timers to find these, or search twice.
    rows = await connection.fetch(
        """
        DELETE FROM timers WHERE id = ANY (ARRAY(
            SELECT id FROM timers WHERE due_at <= $1 ORDER BY due_at, id LIMIT $2
            FOR UPDATE SKIP LOCKED
        )) RETURNING kind, subject, due_at, payload, traceparent, tracestate, id
        """,
        now,
        limit,
    )
    timers = [
        Timer(row[0], row[1], row[2], row[3], trace=parse_trace(row[4], row[5]), id=row[6])
        for row in rows
    ]
    return sorted(timers, key=lambda timer: (timer.due_at, timer.id))


async def load_next_due(connection: Connection) -> datetime | None:
    """When the first timer is due, even if another replica has claimed it."""
    due: datetime | None = await connection.fetchval("SELECT min(due_at) FROM timers")
    return due


class Ticker:
    """A component. Fires due timers in batches, each batch one transaction with its effects. A
    timer that fails by itself is dead-lettered and tried again after five minutes. `wake` (a
    subscription to `timers`) ends a sleep early.
    """

    def __init__(self, database: Database, fire: Fire, clock: Clock, wake: asyncio.Event) -> None:
        self._database = database
        self._fire = fire
        self._clock = clock
        self._wake = wake
        self._trouble: str | None = None

    async def run(self) -> None:
        """Fire and sleep until cancelled."""
        count_from("timer")
        backoff = Backoff()
        while True:
            try:
                self._wake.clear()
                seconds = await self._tick()
                backoff.reset()
                self._trouble = None
            except (Conflict, *UNAVAILABLE) as error:
                self._trouble, seconds = type(error).__qualname__, backoff.seconds()
                log.warning(
                    "timers wait, trying again", extra={"error": self._trouble, "seconds": seconds}
                )
            await wait_at_most(seconds, self._wake)

    def problems(self) -> list[str]:
        """Why timers do not fire now."""
        return [f"timers cannot fire: {self._trouble}"] if self._trouble else []

    async def _tick(self) -> float:
        """Fire one batch; returns the seconds until there is something to do."""
        async with self._database.transaction() as connection:
            now = self._clock()
            timers = await claim_timers(connection, now, _BATCH)
            if timers:
                await isolate(connection, timers, self._fire, self._dead_letter)
            due = await load_next_due(connection)
        if due is None:
            return _MAX_SLEEP_SECONDS
        if due <= now and not timers:
            return _CLAIMED_SECONDS  # due, but claimed by another replica
        # A sleep may end a little early: what came due since the query above is fired at once.
        return min(max((due - self._clock()).total_seconds(), 0), _MAX_SLEEP_SECONDS)

    async def _dead_letter(self, connection: Connection, timer: Timer, error: Exception) -> None:
        log.error(
            "a timer failed",
            extra={"kind": timer.kind, "subject": str(timer.subject)},
            exc_info=error,
        )
        service = await connection.fetchval("SELECT current_schema")
        now = self._clock()
        letter = dead_letter(
            service,
            reason_of(error),
            f"timer {timer.kind}",
            now,
            timer.trace,
            key=str(timer.subject),
        )
        # It may be all that moves its subject on, so it is kept until the cause is fixed.
        again = [replace(timer, due_at=now + _RETRY_AFTER)]
        await write_together(connection, [outbox_write([letter], now), timers_write(again, now)])
