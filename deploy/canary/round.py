"""One round: a synthetic incident is reported, paged, acknowledged and resolved, and each stage is
timed.
"""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TypeVar

from deploy.canary import spans
from deploy.canary.client import RETRYABLE, Client, Json, NotYet
from deploy.canary.receiver import PageReceiver, ReceivedPage
from shared.events.trace_context import TraceContext, new_trace
from shared.telemetry import span


class Stage(StrEnum):
    """The stages of a round, in their order."""

    ACCEPT = "accept"
    PAGE = "page"
    ACKNOWLEDGE = "acknowledge"
    RESOLVE = "resolve"


class Result(StrEnum):
    """How a round ended: passed, or the first thing that did not happen."""

    PASSED = "passed"
    NOT_ACCEPTED = "not_accepted"
    NOT_PAGED = "not_paged"
    NOT_ACKNOWLEDGED = "not_acknowledged"
    NOT_SYNTHETIC = "not_synthetic"
    NOT_RESOLVED = "not_resolved"


_FAILED = {
    Stage.ACCEPT: Result.NOT_ACCEPTED,
    Stage.PAGE: Result.NOT_PAGED,
    Stage.ACKNOWLEDGE: Result.NOT_ACKNOWLEDGED,
    Stage.RESOLVE: Result.NOT_RESOLVED,
}
_CLEAN_UP_SECONDS = 5.0
_POLL_SECONDS = 0.05
_SLOW_POLL_SECONDS = 0.5
_FAST_POLLING_SECONDS = 1.0
T = TypeVar("T")


class RoundFailed(Exception):
    """A stage was not completed; the text says what was expected, how long, and what was found."""

    def __init__(self, result: Result, reason: str) -> None:
        super().__init__(reason)
        self.result = result


@dataclass
class Report:
    """The result of a round. `stages` are durations in seconds: accept and page since the signal
    was sent, acknowledge and resolve from the request until reporting shows it. `reason` is empty
    if it passed. `closed_leftover`: an earlier round had left its incident open.
    """

    trace: TraceContext
    result: Result = Result.PASSED
    reason: str = ""
    incident: str | None = None
    closed_leftover: bool = False
    stages: dict[Stage, float] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass(frozen=True)
class Canary:
    """What rounds run with. `patience` is the time limit of each stage in seconds."""

    client: Client
    receiver: PageReceiver
    name: str
    service: str
    patience: float

    async def run_round(self) -> Report:
        """Run one round; failures are in the report.

        After a crash the next round closes the leftover incident, or it expires.
        """
        began = time.perf_counter()
        with span(spans.ROUND) as trace:
            report = Report(trace or new_trace())
            round_ = _Round(self, report)
            try:
                await round_.run()
            except RoundFailed as failure:
                report.result, report.reason = failure.result, str(failure)
                with suppress(*RETRYABLE):
                    async with asyncio.timeout(_CLEAN_UP_SECONDS):
                        await round_.send_clear()
        report.seconds = time.perf_counter() - began
        return report


class _Round:
    def __init__(self, canary: Canary, report: Report) -> None:
        self._canary, self._report = canary, report
        self._client = canary.client
        self._nonce = secrets.token_hex(4)
        self._summary = f"Synthetic incident of canary {canary.name}, round {self._nonce}"
        # If this process dies, intake expires the alert soon after this time.
        self._ends_at = datetime.now(UTC) + timedelta(seconds=6 * canary.patience)

    async def run(self) -> None:
        """Run all stages. Raises RoundFailed."""
        expected, sent = self._canary.receiver.expect(self._summary), time.perf_counter()
        closed_leftover, opened = await self._poll(Stage.ACCEPT, "signal accepted", self._open)
        self._report.stages[Stage.ACCEPT] = time.perf_counter() - sent
        self._report.closed_leftover = closed_leftover
        received = await self._receive_page(expected, opened)
        self._report.stages[Stage.PAGE] = received.received_at - sent
        self._report.incident = received.page.incident
        incident = await self._acknowledge(received)
        if not incident["synthetic"]:
            hint = f"mark service {self._canary.service} with `synthetic: true` in catalogue.yaml"
            reason = f"{self._report.incident} counts as a real incident: {hint}"
            raise RoundFailed(Result.NOT_SYNTHETIC, reason)
        await self._resolve(received)

    async def _acknowledge(self, received: ReceivedPage) -> Json:
        began = time.perf_counter()

        async def acknowledge() -> bool:
            await self._client.acknowledge(received.page.acknowledge_url)
            return True

        await self._poll(Stage.ACKNOWLEDGE, "acknowledge link called", acknowledge)
        incident = await self._reported(Stage.ACKNOWLEDGE, received, "acknowledged")
        self._report.stages[Stage.ACKNOWLEDGE] = time.perf_counter() - began
        return incident

    async def _resolve(self, received: ReceivedPage) -> None:
        began = time.perf_counter()
        await self._poll(Stage.RESOLVE, "clear accepted", self.send_clear)
        await self._reported(Stage.RESOLVE, received, "resolved")
        self._report.stages[Stage.RESOLVE] = time.perf_counter() - began

    async def send_clear(self) -> bool:
        """Clear the alert. Raises RETRYABLE."""
        await self._client.send([self._event("end", "resolved")], self._report.trace)
        return True

    async def _open(self) -> tuple[bool, str | None]:
        """Whether a leftover was closed, and the id of the opened incident. Raises RETRYABLE."""
        # One batch clears a leftover and then opens a new incident, so that the two never merge.
        events = [self._event("before", "resolved"), self._event("begin", "firing")]
        cleared, opened = await self._client.send(events, self._report.trace)
        return cleared["decision"] == "cleared", opened["subject"]

    async def _reported(self, stage: Stage, received: ReceivedPage, status: str) -> Json:
        async def check() -> Json:
            incident = await self._client.incident(received.page.incident_id)
            if incident["status"] != status or incident["synthetic"] is None:
                found = f"it is {incident['status']}, waiting on {incident['waiting_on']}"
                raise NotYet(found)
            return incident

        return await self._poll(stage, f"{status} in reporting", check)

    async def _receive_page(
        self, expected: "asyncio.Future[ReceivedPage]", incident: str | None
    ) -> ReceivedPage:
        patience = self._canary.patience
        try:
            return await asyncio.wait_for(expected, patience)
        except TimeoutError:
            why = await self._why_no_page(incident)
            reason = f"no page at the canary's receiver within {patience:g} s: {why}"
            raise RoundFailed(Result.NOT_PAGED, reason) from None

    async def _why_no_page(self, incident_id: str | None) -> str:
        if self._canary.receiver.invalid_signatures:
            return "a page arrived whose signature does not match TOCSIN_WEBHOOK_SECRET"
        if incident_id is None:
            return "intake took the signal for a repeat"
        try:
            async with asyncio.timeout(_CLEAN_UP_SECONDS):
                incident = await self._client.incident(incident_id)
            pages = [
                f"{page['user']} by {page['method']} {page['outcome']}, {page['error'] or ''}"
                for page in incident["pages"]
            ]
            paged = "; ".join(pages) or "nobody was paged"
            return f"{paged}; it is {incident['status']}, team {incident['team']}"
        except RETRYABLE as error:
            return f"reporting cannot say why ({_describe(error)})"

    async def _poll(self, stage: Stage, what: str, check: Callable[[], Awaitable[T]]) -> T:
        """The first result of `check` that raises nothing. Raises RoundFailed."""
        patience, last, began = self._canary.patience, "no response", time.monotonic()
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                while True:
                    try:
                        return await check()
                    except RETRYABLE as error:
                        last = _describe(error)
                    fast = time.monotonic() < began + _FAST_POLLING_SECONDS
                    await asyncio.sleep(_POLL_SECONDS if fast else _SLOW_POLL_SECONDS)
        reason = f"{what}: not within {patience:g} s; last: {last}"
        raise RoundFailed(_FAILED[stage], reason)

    def _event(self, step: str, status: str) -> Json:
        return {
            "specversion": "1.0",
            "id": f"{self._nonce}-{step}",
            "source": f"/tocsin/canary/{self._canary.name}",
            "type": "tocsin.signals.Alert",
            "data": {
                "status": status,
                "key": "canary",
                "service": self._canary.service,
                "severity": "critical",
                "summary": self._summary,
                "ends_at": self._ends_at.isoformat() if status == "firing" else None,
            },
        }


def _describe(error: Exception) -> str:
    return str(error) if isinstance(error, NotYet) else f"{type(error).__name__} {error}"
