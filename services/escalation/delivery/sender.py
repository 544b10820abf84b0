"""Sends the pages that are due. It claims what can start, sends it outside of any transaction, and
records the results.
"""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from services.escalation.delivery import store as ledger
from services.escalation.delivery.attempts import Attempts
from services.escalation.delivery.domain.settlement import Claim, Result
from services.escalation.delivery.domain.slots import MIN_IN_FLIGHT, Slots
from services.escalation.delivery.recorder import Recorder
from services.escalation.policies.policy import CurrentTeams
from shared.postgres.connection import Connection
from shared.postgres.database import Database
from shared.postgres.errors import UNAVAILABLE
from shared.postgres.wake import wait_at_most
from shared.runtime.clock import Clock

log = logging.getLogger(__name__)

_QUICK = timedelta(milliseconds=250)
_LEASE_SLACK = timedelta(seconds=5)
_SWEEP = timedelta(seconds=5)
_LONGEST_SLEEP = 30.0
_SHORT_SLEEP = 0.05
_PAUSE_SECONDS = 1.0
_GRACE_SECONDS = 3.0
_LAST_SECONDS = 2.0
_RECORDING_LINGER = timedelta(milliseconds=50)


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
        self._recorder = Recorder(teams)
        self._clock = clock
        self._wake = wake
        self._slots = Slots()
        self._sending: set[asyncio.Task[None]] = set()
        self._results: list[Result] = []
        self._recording: asyncio.TimerHandle | None = None
        self._record_now = False
        self._record_after = datetime.max.replace(tzinfo=UTC)
        self._sweep_at = datetime.min.replace(tzinfo=UTC)
        self._stopping = False
        self._trouble: str | None = None

    def problems(self) -> list[str]:
        """Why pages are not sent now."""
        problems = self._attempts.problems()
        if self._trouble:
            problems.append(f"pages cannot be sent: {self._trouble}")
        return problems

    async def run(self) -> None:
        """Send until cancelled; then finish what has been started, for a few seconds."""
        turn = asyncio.create_task(self._turn())
        try:
            while True:
                # Shielded: what a turn has claimed would otherwise wait for the lease to end.
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
            # Also when a page hangs: those that arrived meanwhile would be sent again if that was
            # not recorded.
            with suppress(TimeoutError):
                async with asyncio.timeout(_LAST_SECONDS):
                    await asyncio.wait({turn})
                    await self._turn()
            await self._attempts.close()

    async def _turn(self) -> float:
        """Record results and start the pages that are due; for how many seconds the sender may
        sleep then.

        Results are kept in memory until they are recorded. A crash after the commit leaves
        `sending` rows: their leases end and they are sent again, under the same key.
        """
        self._wake.clear()
        record = self._record_now or self._stopping
        try:
            now = self._clock()
            # Also when the clock has jumped: what this sender has done must not be claimed again.
            record |= now > self._record_after
            results, self._record_now = self._results.copy() if record else [], False
            claims = await self._record_and_claim(results, now)
            del self._results[: len(results)]
            if not self._results:
                self._record_after = datetime.max.replace(tzinfo=UTC)
            self._start(claims)
            seconds = await self._sleep_after(bool(claims or results), now)
        except UNAVAILABLE as error:
            log.warning("pages wait, trying again", extra={"error": type(error).__qualname__})
            self._trouble = type(error).__qualname__
            # Not `= record`: a page may have failed meanwhile, and its result must not wait.
            self._record_now |= record
            await asyncio.sleep(_PAUSE_SECONDS)
            return 0
        self._trouble = None
        return seconds

    async def _record_and_claim(self, results: Sequence[Result], now: datetime) -> list[Claim]:
        # A claim is one statement, and so is a record of pages that arrived: most often neither
        # needs a transaction around it.
        async with self._database.connection() as connection:
            if await self._recorder.record_arrived(connection, results, now):
                return await self._claim(connection, now)
        async with self._database.transaction() as connection:
            await self._recorder.record(connection, results, now)
            return await self._claim(connection, now)

    async def _claim(self, connection: Connection, now: datetime) -> list[Claim]:
        if self._stopping or self._slots.free <= 0:
            return []
        lease_ends = now + self._attempts.timeout + _LEASE_SLACK
        capacity, free = self._slots.capacity(), self._slots.free
        return await ledger.claim_deliveries(
            connection, now, lease_ends, capacity, MIN_IN_FLIGHT, free
        )

    def _start(self, claims: Sequence[Claim]) -> None:
        for claim in claims:
            self._slots.take(claim.receiver)
            task = asyncio.create_task(self._send(claim))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)

    async def _sleep_after(self, busy: bool, now: datetime) -> float:
        """For how many seconds there is nothing to do, unless something wakes."""
        if self._stopping or self._slots.free <= 0:
            return _LONGEST_SLEEP  # a slot that becomes free wakes
        if busy and now < self._sweep_at:
            return _SHORT_SLEEP  # most often a result or another page wakes before that
        self._sweep_at = now + _SWEEP
        async with self._database.connection() as connection:
            due = await ledger.cancel_abandoned(connection, now)
        if due is None:
            return _LONGEST_SLEEP
        # Due and not claimed: the incident is locked for a moment, another sender has the page, or
        # its receiver is busy.
        return min(max((due - now).total_seconds(), _SHORT_SLEEP), _LONGEST_SLEEP)

    async def _send(self, claim: Claim) -> None:
        began = self._clock()
        failure, here = await self._attempts.make(claim)
        ended = self._clock()
        quick = ended - began < _QUICK
        was_full = self._slots.is_full(claim.receiver)
        self._slots.give_back(claim.receiver, arrived=failure is None, quick=quick)
        self._results.append(Result(claim, failure, here, ended))
        if failure is not None:  # another attempt, or the next step, follows from it
            self._record()
        elif self._recording is None:
            loop = asyncio.get_running_loop()
            self._recording = loop.call_later(_RECORDING_LINGER.total_seconds(), self._record)
            self._record_after = ended + 2 * _RECORDING_LINGER
        if was_full:
            self._wake.set()

    def _record(self) -> None:
        """Record results in the next turn. Those of pages that arrived wait a moment for others:
        nothing depends on them but the reports, and together they cost as much as one.
        """
        if self._recording is not None:
            self._recording.cancel()
            self._recording = None
        self._record_now = True
        self._wake.set()
