"""One round: a synthetic incident is reported, paged, acknowledged and ended, and each stage is
timed.
"""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal, TypeVar

from deploy.canary import spans
from deploy.canary.front import UNHEARD, Front, Json, NotYet
from deploy.canary.receiver import Arrived, Pages
from shared.events.trace_context import TraceContext, new_trace
from shared.telemetry import span

Stage = Literal["accept", "page", "acknowledge", "resolve"]
Result = Literal[
    "passed", "not_accepted", "not_paged", "not_acknowledged", "not_synthetic", "not_resolved"
]

_MISSED: dict[Stage, Result] = {
    "accept": "not_accepted",
    "page": "not_paged",
    "acknowledge": "not_acknowledged",
    "resolve": "not_resolved",
}
_END_SECONDS = 5.0
_LOOK_SECONDS = 0.05
T = TypeVar("T")


class Missed(Exception):
    """Something did not come to pass; the text says what, after how long, and what was there in its
    place.
    """

    def __init__(self, result: Result, reason: str) -> None:
        super().__init__(reason)
        self.result = result


@dataclass
class Report:
    """What came of a round. `stages` are seconds: accept and page from the sending of the signal,
    acknowledge and resolve from the order until reporting tells of it. `reason` is empty when it
    passed.
    """

    trace: TraceContext
    result: Result = "passed"
    reason: str = ""
    incident: str | None = None
    ended_leftover: bool = False
    stages: dict[Stage, float] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass(frozen=True)
class Canary:
    """Who goes round. `patience` is how many seconds each stage may take."""

    front: Front
    pages: Pages
    name: str
    service: str
    patience: float

    async def go_round(self) -> Report:
        """One round; what goes wrong is in the report. A crash leaves an incident that the next
        round ends, or its own end.
        """
        began = time.perf_counter()
        with span(spans.ROUND) as trace:
            report = Report(trace or new_trace())
            round_ = _Round(self, report)
            try:
                await round_.run()
            except Missed as missed:
                report.result, report.reason = missed.result, str(missed)
                with suppress(*UNHEARD):
                    async with asyncio.timeout(_END_SECONDS):
                        await round_.end()
        report.seconds = time.perf_counter() - began
        return report


class _Round:
    def __init__(self, canary: Canary, report: Report) -> None:
        self._canary, self._report = canary, report
        self._front = canary.front
        self._nonce = secrets.token_hex(4)
        self._summary = f"Synthetic incident of canary {canary.name}, round {self._nonce}"
        # What it leaves if this process dies: intake ends it by itself soon after.
        self._ends_at = datetime.now(UTC) + timedelta(seconds=6 * canary.patience)

    async def run(self) -> None:
        """Raises Missed."""
        awaited, sent = self._canary.pages.expect(self._summary), time.perf_counter()
        taken = await self._until("accept", "the signal accepted", self._begin)
        self._report.stages["accept"] = time.perf_counter() - sent
        self._report.ended_leftover, opened = taken
        arrived = await self._paged(awaited, opened)
        self._report.stages["page"] = arrived.at - sent
        incident, self._report.incident = arrived.page.incident_id, arrived.page.incident
        ordered = time.perf_counter()
        await self._until(
            "acknowledge",
            "the page's link pressed",
            lambda: self._press(arrived.page.acknowledge_url),
        )
        story = await self._until(
            "acknowledge", "reporting to tell so", lambda: self._is(incident, "acknowledged")
        )
        self._report.stages["acknowledge"] = time.perf_counter() - ordered
        if not story["synthetic"]:
            hint = f"mark service {self._canary.service} with `synthetic: true` in catalogue.yaml"
            raise Missed(
                "not_synthetic", f"{self._report.incident} counts as a real incident: {hint}"
            )
        ordered = time.perf_counter()
        await self._until("resolve", "the end accepted", self.end)
        await self._until("resolve", "reporting to tell so", lambda: self._is(incident, "resolved"))
        self._report.stages["resolve"] = time.perf_counter() - ordered

    async def end(self) -> bool:
        """Say that it is over. Raises UNHEARD."""
        await self._front.send([self._event("end", "resolved")], self._report.trace)
        return True

    async def _begin(self) -> tuple[bool, str | None]:
        """Whether there was something left to end, and what incident was opened. Raises UNHEARD."""
        # What an earlier round left is ended first, together with the new signal: so they never
        # become one.
        events = [self._event("before", "resolved"), self._event("begin", "firing")]
        before, begin = await self._front.send(events, self._report.trace)
        return before["decision"] == "cleared", begin["subject"]

    async def _press(self, link: str) -> bool:
        await self._front.press(link)
        return True

    async def _is(self, incident: str, status: str) -> Json:
        story = await self._front.story(incident)
        if story["status"] != status or story["synthetic"] is None:
            raise NotYet(f"it is {story['status']}, waiting on {story['waiting_on']}")
        return story

    async def _paged(self, awaited: "asyncio.Future[Arrived]", incident: str | None) -> Arrived:
        patience = self._canary.patience
        try:
            return await asyncio.wait_for(awaited, patience)
        except TimeoutError:
            why = await self._why_no_page(incident)
            raise Missed(
                "not_paged", f"no page at the canary's receiver within {patience:g} s: {why}"
            ) from None

    async def _why_no_page(self, incident: str | None) -> str:
        if self._canary.pages.forged:
            return "one came whose signature is not by TOCSIN_WEBHOOK_SECRET"
        if incident is None:
            return "intake took the signal for a repeat"
        try:
            async with asyncio.timeout(_END_SECONDS):
                story = await self._front.story(incident)
            pages = [
                f"{p['user']} by {p['method']} {p['outcome']}, {p['error'] or ''}"
                for p in story["pages"]
            ]
            return f"{'; '.join(pages) or 'nobody was paged'}; it is {story['status']}, team {story['team']}"
        except UNHEARD as error:
            return f"reporting cannot say why ({_said(error)})"

    async def _until(self, stage: Stage, what: str, look: Callable[[], Awaitable[T]]) -> T:
        """What a look brings once it brings something. Raises Missed."""
        patience, last, began = self._canary.patience, "nothing was heard", time.monotonic()
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                while True:
                    try:
                        return await look()
                    except UNHEARD as error:
                        last = _said(error)
                    await asyncio.sleep(
                        _LOOK_SECONDS if time.monotonic() < began + 1 else 10 * _LOOK_SECONDS
                    )
        raise Missed(_MISSED[stage], f"{what}: not within {patience:g} s; at last: {last}")

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


def _said(error: Exception) -> str:
    return str(error) if isinstance(error, NotYet) else f"{type(error).__name__} {error}"
