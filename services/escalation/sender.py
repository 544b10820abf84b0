"""Sends the pages that are due: claims what it can start now, sends outside any transaction, records in batches."""

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta

from services.escalation import ledger
from services.escalation.batch import Batch
from services.escalation.channels import Channel
from services.escalation.delivery import Claim, Receiver, settle
from services.escalation.handlers import CurrentTeams
from services.escalation.links import Links
from services.escalation.outcome import Failure, NotDelivered
from services.escalation.pages import Notice
from services.escalation.policy import Method
from shared.clock import Clock
from shared.db import UNAVAILABLE, Connection, Database
from shared.telemetry import span
from shared.trace_context import TraceContext, new_trace

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
        self,
        database: Database,
        channels: Mapping[Method, Channel],
        teams: CurrentTeams,
        links: Links,
        console_url: str,
        clock: Clock,
        wake: asyncio.Event,
        timeout: timedelta,
    ) -> None:
        self._database = database
        self._channels = channels
        self._teams = teams
        self._links = links
        self._console_url = console_url.rstrip("/")
        self._clock = clock
        self._wake = wake
        self._timeout = timeout
        self._busy: Counter[Receiver] = Counter()
        self._sending: set[asyncio.Task[None]] = set()
        self._results: asyncio.Queue[Result] = asyncio.Queue()
        self._trouble: str | None = None

    def problems(self) -> list[str]:
        """Why pages do not leave now."""
        used = {method for user in self._teams().content.users.values() for method in user.methods}
        missing = [f"users have the method {method}, which has no setting" for method in used - self._channels.keys()]
        return sorted(missing) + ([f"pages cannot be sent: {self._trouble}"] if self._trouble else [])

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
            for channel in self._channels.values():
                await channel.close()

    async def _claim_loop(self) -> None:
        while True:
            try:
                self._wake.clear()
                seconds = await self._claim()
                self._trouble = None
            except UNAVAILABLE as error:
                log.warning("pages wait, trying again", extra={"error": type(error).__qualname__})
                self._trouble, seconds = type(error).__qualname__, _PAUSE_SECONDS
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._wake.wait()

    async def _claim(self) -> float:
        """Start what is due; how many seconds there is nothing to do for."""
        now, free = self._clock(), SLOTS - self._busy.total()
        if free <= 0:
            return _LONGEST_SLEEP  # a slot that becomes free wakes
        lease_ends = now + self._timeout + _LEASE_SLACK
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
        order, parent = claim.order, claim.trace or new_trace()
        failure, here = None, parent
        try:
            with span(
                f"page {order.method}",
                parent,
                kind="client",
                attributes={
                    "tocsin.incident.id": str(order.incident_id),
                    "tocsin.method": order.method,
                    "tocsin.step": order.step,
                    "tocsin.attempt": claim.attempts,
                },
            ) as context:
                here = context or parent
                await self._deliver(claim, here)
        except NotDelivered as error:
            failure = error.failure
        except Exception as error:
            # Only the type: whatever it says may quote an address. It counts as an attempt, so it cannot loop for ever.
            failure = Failure(f"unexpected {type(error).__qualname__}", uncertain=True)
        if failure is not None:
            fields = {"attempt_key": order.attempt_key, "attempt": claim.attempts, "error": failure.error}
            log.warning("a page did not arrive", extra=fields)
        self._results.put_nowait((claim, failure, here))

    async def _deliver(self, claim: Claim, here: TraceContext) -> None:
        order = claim.order
        if self._clock() > claim.lease_ends - self._timeout:
            # This process was frozen since it claimed: the incident may be taken and the page another sender's.
            raise NotDelivered(Failure("the sender was held up"))
        user, channel = self._teams().content.users.get(order.user), self._channels.get(order.method)
        address = user and (user.webhook if order.method == "webhook" else user.email)
        if not address:
            raise NotDelivered(Failure(f"{order.user} has no {order.method} in teams.yaml any more", final=True))
        if channel is None:
            raise NotDelivered(Failure(f"the method {order.method} has no setting here", final=True))
        await channel.send(self._notice(claim, here), address, here)

    def _notice(self, claim: Claim, here: TraceContext) -> Notice:
        order, response, now = claim.order, claim.incident.response, self._clock()
        return Notice(
            attempt_key=order.attempt_key,
            incident_id=order.incident_id,
            number=response.number,
            summary=response.summary,
            service=response.service,
            priority=response.priority,
            team=response.team,
            runbook=claim.incident.runbook,
            user=order.user,
            step=order.step,
            round=order.round,
            why=order.why,
            acknowledge_url=self._links.url(order.incident_id, order.user, "acknowledge", now),
            resolve_url=self._links.url(order.incident_id, order.user, "resolve", now),
            console_url=f"{self._console_url}/incidents/{order.incident_id}",
            trace_id=here.trace_id,
            at=now,
        )

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
        current = await ledger.lock_sending(
            connection, {claim.order.attempt_key: claim.attempts for claim, _, _ in results}
        )
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
