"""A steady load of signals through every fault: each signal is sent again, with the same id, until
it is accepted.
"""

import asyncio
import itertools
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import orjson
from aiokafka import AIOKafkaProducer

from tests.support.checker import Accepted
from tests.support.evidence import Checker
from tests.support.running import TOKEN, Received, Running, Truth, alert, eventually

_SENDERS = 4
_REQUEST_TIMEOUT = aiohttp.ClientTimeout(total=5)
_MAX_SECONDS = 240
_TICK_SECONDS = 0.1
_SIGNALS_PER_TICK = 6
_TICKS_PER_OUTAGE = 10


@dataclass(frozen=True)
class Signal:
    """A signal, and whether it is sent by topic or by HTTP."""

    event: dict[str, Any]
    by_topic: bool

    @property
    def name(self) -> tuple[str, str]:
        """Origin and id under which intake stores it."""
        sender = "topic" if self.by_topic else "tests"
        return f"{sender} {self.event['source']}", self.event["id"]


@dataclass
class Storm:
    """The publishers, and a responder who acknowledges some of the pages that she gets."""

    tocsin: Running
    producer: AIOKafkaProducer
    topic: str
    accepted: Accepted = field(default_factory=Accepted)
    pages: "asyncio.Queue[str]" = field(default_factory=asyncio.Queue)
    responds: bool = True  # whether the responder acknowledges now
    senders: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_SENDERS))

    @asynccontextmanager
    async def steady(self, name: str) -> AsyncIterator[None]:
        """Send signals named after `name` at a steady pace inside the block; when it ends, all have
        been accepted.
        """
        async with asyncio.TaskGroup() as group:
            pace = group.create_task(self._keep_pace(group, name))
            try:
                yield
            finally:
                pace.cancel()

    async def _keep_pace(self, group: asyncio.TaskGroup, name: str) -> None:
        dice = random.Random(name)  # noqa: S311 - the same signals in every run
        for tick in itertools.count():
            newest = tick // _TICKS_PER_OUTAGE
            outages = [
                newest if number % 3 else dice.randint(0, newest)
                for number in range(_SIGNALS_PER_TICK)
            ]
            events = [
                alert(f"{name} {tick}.{n}", f"{name} {outage}") for n, outage in enumerate(outages)
            ]
            group.create_task(
                self._publish([Signal(event, by_topic=True) for event in events[::2]])
            )
            group.create_task(self._post([Signal(event, by_topic=False) for event in events[1::2]]))
            await asyncio.sleep(_TICK_SECONDS)

    async def reached(self, count: int) -> Truth:
        """Whether this many signals have been accepted."""
        return Truth(len(self.accepted.signals) >= count, f"{len(self.accepted.signals)} signals")

    async def _publish(self, signals: Sequence[Signal]) -> None:
        for signal in signals:
            await self.producer.send_and_wait(
                self.topic, orjson.dumps(signal.event), signal.event["data"]["key"].encode()
            )
            self.accepted.signals.add(signal.name)

    async def _post(self, batch: Sequence[Signal]) -> None:
        headers = {
            "Authorization": f"Bearer {self.tocsin.key}",
            "Content-Type": "application/cloudevents-batch+json",
        }
        async with self.senders:
            await self._until_accepted(
                "intake", "/v1/signals", [signal.event for signal in batch], headers
            )
        self.accepted.signals |= {signal.name for signal in batch}

    async def _until_accepted(
        self, service: str, path: str, body: Any, headers: dict[str, str]
    ) -> None:
        async def accepted() -> Truth:
            url = self.tocsin.url(service, path)
            try:
                async with self.tocsin.http.post(
                    url, json=body, headers=headers, timeout=_REQUEST_TIMEOUT
                ) as answer:
                    assert answer.status in (200, 202, 503), await answer.text()
                    return Truth(answer.status < 300, str(answer.status))
            except (aiohttp.ClientError, TimeoutError) as error:
                # Killed, perhaps between the commit and the response.
                return Truth(False, repr(error))

        await eventually("the request is accepted", accepted, _MAX_SECONDS)

    def page(self, page: Received) -> int:
        """The receiver's response to a page."""
        self.pages.put_nowait(page.body["data"]["incident_id"])
        return 200

    async def settle(self, checker: Checker) -> None:
        """Wait until the system is idle, including the responder's last acknowledgements."""
        await eventually("the system is idle", checker.settled)
        await self.pages.join()
        await eventually("the system is idle after the last acknowledgement", checker.settled)

    async def respond(self) -> None:
        """Acknowledge every fifth page until cancelled."""
        number = 0
        while True:
            incident, number = await self.pages.get(), number + 1
            if self.responds and number % 5 == 0 and incident not in self.accepted.acknowledged:
                path = f"/v1/incidents/{incident}/acknowledge"
                # Noted before the request: it may be committed although no response arrives.
                self.accepted.acknowledged[incident] = "ana"
                await self._until_accepted(
                    "escalation", path, {"by": "ana"}, {"Authorization": f"Bearer {TOKEN}"}
                )
            self.pages.task_done()
