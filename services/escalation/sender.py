"""Sends the pages that are due: claims what it can start now, sends outside any transaction, records in batches."""

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta

from services.escalation import ledger
from services.escalation.attempt import Attempts
from services.escalation.batch import Batch
from services.escalation.delivery import Claim, Receiver, settle
from services.escalation.handlers import CurrentTeams
from services.escalation.outcome import Failure
from shared.clock import Clock
from shared.db import UNAVAILABLE, Connection, Database
from shared.trace_context import TraceContext
from shared.wake import wait_at_most

log = logging.getLogger(__name__)

SLOTS = 64
PER_RECEIVER = 8
"""One slow receiver holds this many slots at most."""
_LEASE_SLACK = timedelta(seconds=5)
_LONGEST_SLEEP = 30.0
_LOCKED_SLEEP = 0.05
_PAUSE_SECONDS = 1.0
_GRACE_SECONDS = 3.0

Result = tuple[Claim, Failure | None, TraceContext]


class Sender:
    """A component. `wake` (a subscription to `deliveries`) and the next due page end its sleep."""

    def __init__(
        self, database: Database, attempts: Attempts, teams: CurrentTeams, clock: Clock, wake: asyncio.Event
    ) -> None:
        self._database = database
        self._attempts = attempts
        self._teams = teams
        self._clock = clock
        self._wake = wake
        self._busy: Counter[Receiver] = Counter()
        self._sending: set[asyncio.Task[None]] = set()
        self._results: asyncio.Queue[Result] = asyncio.Queue()
        self._trouble: str | None = None

    def problems(self) -> list[str]:
        """Why pages do not leave now."""
        return self._attempts.problems() + ([f"pages cannot be sent: {self._trouble}"] if self._trouble else [])

    async def run(self) -> None:
        """Send until cancelled; then finish what has been started, for a few seconds."""
        loops = [asyncio.create_task(self._claim_loop()), asyncio.create_task(self._record_loop())]
        try:
            done, _ = await asyncio.wait(loops, return_when=asyncio.FIRST_COMPLETED)
            done.pop().result()
        finally:
            loops[0].cancel()
            with suppress(TimeoutError):
                async with asyncio.timeout(_GRACE_SECONDS):
                    await asyncio.gather(*self._sending)
                    await self._results.join()
            for task in (*loops, *self._sending):
                task.cancel()
            await self._attempts.close()

    async def _claim_loop(self) -> None:
        while True:
            try:
                self._wake.clear()
                seconds = await self._claim()
                self._trouble = None
            except UNAVAILABLE as error:
                log.warning("pages wait, trying again", extra={"error": type(error).__qualname__})
                self._trouble, seconds = type(error).__qualname__, _PAUSE_SECONDS
            await wait_at_most(seconds, self._wake)

    async def _claim(self) -> float:
        """Start what is due; how many seconds there is nothing to do for."""
        now, free = self._clock(), SLOTS - self._busy.total()
        if free <= 0:
            return _LONGEST_SLEEP  # a slot that becomes free wakes
        lease_ends = now + self._attempts.timeout + _LEASE_SLACK
        async with self._database.transaction() as connection:
            claims = await ledger.claim_deliveries(connection, now, lease_ends, self._busy, PER_RECEIVER, free)
            await ledger.cut_abandoned(connection, now)
            due = await ledger.load_next_due(connection)
        # A crash from here to the record leaves `sending` rows: their leases end and they are sent again, same key.
        for claim in claims:
            self._busy[claim.receiver] += 1
            task = asyncio.create_task(self._send(claim))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)
        if due is None:
            return _LONGEST_SLEEP
        # Due and not claimed: the incident is locked for a moment, another sender has it, or its receiver is busy.
        return min(max((due - now).total_seconds(), _LOCKED_SLEEP), _LONGEST_SLEEP)

    async def _send(self, claim: Claim) -> None:
        self._results.put_nowait((claim, *await self._attempts.make(claim)))

    async def _record_loop(self) -> None:
        while True:
            results = [await self._results.get()]
            # Whatever came in while the last transaction ran is recorded together.
            while not self._results.empty():
                results.append(self._results.get_nowait())
            await self._record_until_done(results)
            for claim, _, _ in results:
                self._busy[claim.receiver] -= 1
                self._results.task_done()
            self._busy += Counter()  # drops receivers that are not busy
            self._wake.set()

    async def _record_until_done(self, results: Sequence[Result]) -> None:
        while True:
            try:
                async with self._database.transaction() as connection:
                    return await self._record(connection, results)
            except UNAVAILABLE as error:
                # Kept in memory until Postgres is back; should this process die first, the leases end.
                log.warning("pages sent wait to be recorded", extra={"error": type(error).__qualname__})
                await asyncio.sleep(_PAUSE_SECONDS)

    async def _record(self, connection: Connection, results: Sequence[Result]) -> None:
        now, teams = self._clock(), self._teams().content
        # Incidents before deliveries, as everywhere.
        batch = await Batch.load(connection, [claim.order.incident_id for claim, _, _ in results], now)
        attempts = {claim.order.attempt_key: claim.attempts for claim, _, _ in results}
        current = await ledger.lock_sending(connection, attempts)
        rows = []
        for claim, failure, here in results:
            incident = batch.incident(claim.order.incident_id)
            if incident is None or claim.order.attempt_key not in current:
                continue
            row, decision = settle(incident, claim, failure, teams, now, random.random())  # noqa: S311 - jitter
            rows.append(row)
            batch.apply(incident.id, decision, here)
        await ledger.save_settled(connection, rows)
        await batch.save(connection)
