"""Sends the pages that are due: outside any transaction, between two that claim what can start and
record what came.
"""

import asyncio
import logging
import random
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from services.escalation.delivery import store as ledger
from services.escalation.delivery.attempts import Attempts
from services.escalation.delivery.domain.outcome import Failure
from services.escalation.delivery.domain.settlement import Claim, settle
from services.escalation.delivery.domain.slots import ONE, Slots
from services.escalation.policies.policy import CurrentTeams
from services.escalation.response.batch import Batch
from shared.events.trace_context import TraceContext
from shared.postgres.connection import Connection
from shared.postgres.database import Database
from shared.postgres.errors import UNAVAILABLE
from shared.postgres.wake import wait_at_most
from shared.runtime.clock import Clock

log = logging.getLogger(__name__)

_QUICK = timedelta(milliseconds=250)
_LEASE_SLACK = timedelta(seconds=5)
_LONGEST_SLEEP = 30.0
_LOCKED_SLEEP = 0.05
_PAUSE_SECONDS = 1.0
_GRACE_SECONDS = 3.0
_LAST_SECONDS = 2.0

Result = tuple[Claim, Failure | None, TraceContext]


class Sender:
    """A component. `wake` (a subscription to `deliveries`) and the next due page end its sleep."""

    def __init__(
        self,
        database: Database,
        attempts: Attempts,
        teams: CurrentTeams,
        clock: Clock,
        wake: asyncio.Event,
    ) -> None:
        self._database = database
        self._attempts = attempts
        self._teams = teams
        self._clock = clock
        self._wake = wake
        self._slots = Slots()
        self._sending: set[asyncio.Task[None]] = set()
        self._results: list[Result] = []
        self._stopping = False
        self._trouble: str | None = None

    def problems(self) -> list[str]:
        """Why pages do not leave now."""
        return self._attempts.problems() + (
            [f"pages cannot be sent: {self._trouble}"] if self._trouble else []
        )

    async def run(self) -> None:
        """Send until cancelled; then finish what has been started, for a few seconds."""
        turn = asyncio.create_task(self._turn())
        try:
            while True:
                # Shielded: what a turn has claimed would otherwise wait for the end of its lease.
                await wait_at_most(await asyncio.shield(turn), self._wake)
                turn = asyncio.create_task(self._turn())
        finally:
            self._stopping = True
            with suppress(TimeoutError):
                async with asyncio.timeout(_GRACE_SECONDS):
                    await asyncio.wait({turn})
                    await asyncio.gather(*self._sending)
            for task in self._sending:
                task.cancel()
            # Also when one hangs: of those that arrived meanwhile, whatever is not recorded would
            # be sent again.
            with suppress(TimeoutError):
                async with asyncio.timeout(_LAST_SECONDS):
                    await asyncio.wait({turn})
                    await self._turn()
            await self._attempts.close()

    async def _turn(self) -> float:
        """Record what came of pages and start those that are due; for how many seconds there is
        nothing to do then.

        Results are kept in memory until they are recorded. A crash after the commit leaves
        `sending` rows: their leases end and they are sent again, under the same key.
        """
        self._wake.clear()
        results, now = self._results.copy(), self._clock()
        try:
            async with self._database.transaction() as connection:
                await self._record(connection, results, now)
                claims, due = await self._claim(connection, now)
        except UNAVAILABLE as error:
            log.warning("pages wait, trying again", extra={"error": type(error).__qualname__})
            self._trouble = type(error).__qualname__
            await asyncio.sleep(_PAUSE_SECONDS)
            return 0
        self._trouble = None
        del self._results[: len(results)]
        for claim in claims:
            self._slots.take(claim.receiver)
            task = asyncio.create_task(self._send(claim))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)
        # Due and not claimed: the incident is locked for a moment, another sender has it, or its
        # receiver is busy.
        seconds = max((due - now).total_seconds(), _LOCKED_SLEEP) if due else _LONGEST_SLEEP
        return min(seconds, _LONGEST_SLEEP)

    async def _claim(
        self, connection: Connection, now: datetime
    ) -> tuple[list[Claim], datetime | None]:
        """The pages to start, and when to look for the next ones."""
        if self._stopping or self._slots.free <= 0:
            return [], None  # a slot that becomes free wakes
        lease_ends = now + self._attempts.timeout + _LEASE_SLACK
        claims = await ledger.claim_deliveries(
            connection, now, lease_ends, self._slots.room(), ONE, self._slots.free
        )
        return claims, await ledger.cut_abandoned(connection, now)

    async def _send(self, claim: Claim) -> None:
        began = self._clock()
        failure, here = await self._attempts.make(claim)
        self._slots.give_back(
            claim.receiver, arrived=failure is None, quick=self._clock() - began < _QUICK
        )
        self._results.append((claim, failure, here))
        self._wake.set()

    async def _record(
        self, connection: Connection, results: Sequence[Result], now: datetime
    ) -> None:
        if not results:
            return
        teams = self._teams().content
        # Incidents before deliveries, as everywhere.
        ids = [claim.order.incident_id for claim, _, _ in results]
        batch = await Batch.load(connection, ids, now, cutting=False)
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
