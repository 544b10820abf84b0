"""A storm of signals that goes on whatever dies: each is sent again, as the same signal, until it was accepted."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import orjson
from aiokafka import AIOKafkaProducer

from tests.support.checker import Accepted
from tests.support.evidence import Checker
from tests.support.running import TOKEN, Received, Running, Truth, alert, eventually

_BATCH = 5
_SENDERS = 4


@dataclass(frozen=True)
class Signal:
    """One signal, and which of the two ways in it takes."""

    event: dict[str, Any]
    by_topic: bool

    @property
    def name(self) -> tuple[str, str]:
        """Origin and id under which intake keeps it."""
        return ("topic" if self.by_topic else "tests") + f" {self.event['source']}", self.event["id"]


def make_signals(count: int, outages: int, dice: random.Random) -> list[Signal]:
    """Signals of `outages` things that break one after the other; each is an incident by HTTP and one by topic."""
    signals = []
    for number in range(count):
        newest = number * outages // count
        outage = newest if number % 3 else dice.randint(0, newest)
        event = alert(f"s{number}", f"outage {outage}", service="checkout" if outage % 2 else "search")
        signals.append(Signal(event, by_topic=number % 2 == 0))
    return signals


@dataclass
class Storm:
    """The publishers' side, and one responder who takes some of what she is paged for."""

    tocsin: Running
    producer: AIOKafkaProducer
    topic: str
    accepted: Accepted = field(default_factory=Accepted)
    pages: "asyncio.Queue[str]" = field(default_factory=asyncio.Queue)

    async def send(self, signals: Sequence[Signal]) -> None:
        """Returns when all were accepted."""
        batches: asyncio.Queue[Sequence[Signal]] = asyncio.Queue()
        web = [signal for signal in signals if not signal.by_topic]
        for start in range(0, len(web), _BATCH):
            batches.put_nowait(web[start : start + _BATCH])
        async with asyncio.TaskGroup() as group:
            group.create_task(self._publish([signal for signal in signals if signal.by_topic]))
            for _ in range(_SENDERS):
                group.create_task(self._post_all(batches))

    async def reached(self, count: int) -> Truth:
        """Whether that many signals were accepted by now."""
        return Truth(len(self.accepted.signals) >= count, f"{len(self.accepted.signals)} signals")

    async def _publish(self, signals: Sequence[Signal]) -> None:
        for signal in signals:
            await self.producer.send_and_wait(
                self.topic, orjson.dumps(signal.event), signal.event["data"]["key"].encode()
            )
            self.accepted.signals.add(signal.name)

    async def _post_all(self, batches: "asyncio.Queue[Sequence[Signal]]") -> None:
        while not batches.empty():
            batch = batches.get_nowait()
            headers = {
                "Authorization": f"Bearer {self.tocsin.key}",
                "Content-Type": "application/cloudevents-batch+json",
            }
            await self._until_accepted(
                self.tocsin.url("intake", "/v1/signals"), [signal.event for signal in batch], headers
            )
            self.accepted.signals |= {signal.name for signal in batch}

    async def _until_accepted(self, url: str, body: Any, headers: dict[str, str]) -> None:
        async def accepted() -> Truth:
            try:
                async with self.tocsin.http.post(url, json=body, headers=headers) as answer:
                    assert answer.status in (200, 202, 503), await answer.text()
                    return Truth(answer.status < 300, str(answer.status))
            except aiohttp.ClientError as error:
                return Truth(False, repr(error))  # killed, perhaps between the commit and the answer

        await eventually("it is accepted", accepted, 60)

    def page(self, page: Received) -> int:
        """The receiver's answer to a page."""
        self.pages.put_nowait(page.body["data"]["incident_id"])
        return 200

    async def pass_over(self, checker: Checker) -> None:
        """Wait until nothing moves any more, what the responder did to the last pages included."""
        await eventually("all has come to rest", checker.settled, 60)
        await self.pages.join()
        await eventually("the last acknowledgement has come to rest", checker.settled, 60)

    async def take_some(self) -> None:
        """The responder: acknowledges every fifth page until cancelled."""
        number = 0
        while True:
            incident, number = await self.pages.get(), number + 1
            if number % 5 == 0 and incident not in self.accepted.acknowledged:
                url = self.tocsin.url("escalation", f"/v1/incidents/{incident}/acknowledge")
                # Noted before it is asked for: it may be committed and told although no answer ever came.
                self.accepted.acknowledged[incident] = "ana"
                await self._until_accepted(url, {"by": "ana"}, {"Authorization": f"Bearer {TOKEN}"})
            self.pages.task_done()
