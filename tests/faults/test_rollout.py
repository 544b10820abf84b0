"""Services are stopped and restarted, as in every deployment: no request fails, nothing is sent
twice.
"""

import asyncio
import itertools
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
import orjson
import pytest

from tests.faults.world import World
from tests.support.running import SERVICES, Truth, alert, eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")
_PAUSE_SECONDS = 0.02


@dataclass
class Client:
    """Sends requests to one service, alternating between a kept connection and new ones.

    A server may close a kept connection just as a request is sent on it, which HTTP/1.1 cannot
    prevent: such a request is repeated on a new connection. On a new connection every request must
    succeed.
    """

    world: World
    service: str
    name: str
    done: int = 0
    retried: int = 0
    failed: list[str] = field(default_factory=list)
    stopped: bool = False
    _reused: bool = False

    async def run(self) -> None:
        """Send requests until stopped."""
        watch = aiohttp.TraceConfig()
        watch.on_connection_reuseconn.append(self._note)
        keeping = aiohttp.ClientSession(trace_configs=[watch])
        closing = aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True))
        async with keeping, closing:
            for number in itertools.takewhile(lambda _: not self.stopped, itertools.count()):
                self._reused = False
                try:
                    await self._request(keeping if number % 2 else closing, number)
                except aiohttp.ClientConnectionError as error:
                    if self._reused:
                        self.retried += 1
                        await self._request(closing, number)
                    else:
                        self.failed.append(repr(error))
                await asyncio.sleep(_PAUSE_SECONDS)

    async def _request(self, session: aiohttp.ClientSession, number: int) -> None:
        tocsin = self.world.stack.tocsin
        if self.service == "intake":
            event = alert(f"{self.name} {number}", "rolled")
            headers = {"Authorization": f"Bearer {tocsin.key}"}
            request = session.post(
                tocsin.url("intake", "/v1/signals"),
                json=event,
                headers=headers | {"Content-Type": "application/cloudevents+json"},
            )
        else:
            path = "/v1/incidents" if self.service == "reporting" else "/openapi.json"
            request = session.get(tocsin.url(self.service, path))
        async with request as answer:
            text = await answer.text()
            if answer.status >= 300:
                self.failed.append(f"{answer.status} {text}")
            elif self.service == "intake":
                self.world.storm.accepted.signals.add(("tests /probe", f"{self.name} {number}"))
            self.done += 1

    async def _note(self, *_: object) -> None:
        self._reused = True


@asynccontextmanager
async def requesting(clients: list[Client]) -> AsyncIterator[None]:
    """The clients send requests inside the block."""
    async with asyncio.TaskGroup() as group:
        for client in clients:
            group.create_task(client.run())
        yield
        for client in clients:
            client.stopped = True


async def roll(world: World, service: str, clients: list[Client]) -> None:
    """Stop a service and wait for its successor, with requests before, meanwhile and after."""
    before = [client.done for client in clients]

    async def busy() -> Truth:
        return Truth(
            all(client.done > done for client, done in zip(clients, before, strict=True)),
            str(clients),
        )

    await eventually("requests by all clients", busy)
    old = world.stack.parts[service].process
    world.stack.send(service, signal.SIGTERM)
    assert old
    await world.stack.renewed(service, old.pid)
    assert old.returncode == 0, world.stack.parts[service].log.read_text()[-3000:]
    before = [client.done for client in clients]
    await eventually("requests by all clients", busy)


def unanswered(world: World) -> set[str]:
    """Pages whose attempt by this process timed out: they are repeated with or without a
    rollout.
    """
    lines = world.stack.parts["escalation"].log.read_bytes().splitlines()
    entries = [orjson.loads(line) for line in lines if line.startswith(b"{")]
    return {
        line["attempt_key"]
        for line in entries
        if line.get("error") == "timed out" and "attempt_key" in line
    }


async def test_a_rollout_fails_no_request_and_repeats_no_page(world: World) -> None:
    clients = [
        Client(world, service, f"rolled {service} {number}")
        for service in SERVICES
        for number in range(5)
    ]
    pages = len(world.receiver.received)
    async with world.load("rolled"), requesting(clients):
        if world.long:
            for service in SERVICES * 4:
                await roll(world, service, clients)
        await asyncio.gather(*(roll(world, service, clients) for service in SERVICES))

    print(
        f"{sum(client.done for client in clients)} requests, "
        f"{sum(client.retried for client in clients)} of them repeated"
    )
    assert [failed for client in clients for failed in client.failed] == []
    arrived = Counter(page.webhook_id for page in world.receiver.received[pages:])
    repeated = {key for key, times in arrived.items() if times > 1}
    assert repeated <= unanswered(world), "a graceful stop waits for pages in flight"
