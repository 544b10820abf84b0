"""Services that are stopped and started anew, as every deployment does: no request fails, nothing is sent twice."""

import asyncio
import itertools
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
import pytest

from tests.faults.world import World
from tests.support.running import SERVICES, Truth, alert, eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")
_PACE_SECONDS = 0.02


@dataclass
class Client:
    """Asks one service again and again, over one connection that it keeps alive and over new ones in turn.

    A server may close a kept connection just as a request sets out on it, which HTTP/1.1 cannot prevent: such a request
    is tried once more on a new connection. On a new connection every request has to succeed.
    """

    world: World
    service: str
    done: int = 0
    retried: int = 0
    failed: list[str] = field(default_factory=list)
    _reused: bool = False

    async def ask(self) -> None:
        """Until cancelled."""
        watch = aiohttp.TraceConfig()
        watch.on_connection_reuseconn.append(self._note)
        keeping = aiohttp.ClientSession(trace_configs=[watch])
        closing = aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True))
        async with keeping, closing:
            for number in itertools.count():
                self._reused = False
                try:
                    await self._request(keeping if number % 2 else closing, number)
                except aiohttp.ClientConnectionError as error:
                    if self._reused:
                        self.retried += 1
                        await self._request(closing, number)
                    else:
                        self.failed.append(repr(error))
                await asyncio.sleep(_PACE_SECONDS)

    async def _request(self, session: aiohttp.ClientSession, number: int) -> None:
        tocsin = self.world.stack.tocsin
        if self.service == "intake":
            event = alert(f"rolled {number}", "rolled")
            headers = {"Authorization": f"Bearer {tocsin.key}"}
            request = session.post(
                tocsin.url("intake", "/v1/signals"),
                json=event,
                headers=headers | {"Content-Type": "application/cloudevents+json"},
            )
            self.world.storm.accepted.signals.add((f"tests {event['source']}", event["id"]))
        else:
            request = session.get(
                tocsin.url(self.service, "/v1/incidents" if self.service == "reporting" else "/livez")
            )
        async with request as answer:
            text = await answer.text()
            if answer.status >= 300:
                self.failed.append(f"{answer.status} {text}")
            self.done += 1

    async def _note(self, *_: object) -> None:
        self._reused = True


@asynccontextmanager
async def asked(clients: list[Client]) -> AsyncIterator[None]:
    """The clients ask during the block."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(client.ask()) for client in clients]
        yield
        for task in tasks:
            task.cancel()


async def test_a_rollout_fails_no_request_and_repeats_no_page(world: World) -> None:
    clients = [Client(world, service) for service in SERVICES]
    pages = len(world.receiver.received)
    async with world.load("rolled"), asked(clients):
        for service in SERVICES * (4 if world.long else 1):
            before = {client.service: client.done for client in clients}

            async def busy(before: dict[str, int] = before) -> Truth:
                return Truth(all(c.done > before[c.service] for c in clients), str(clients))

            await eventually("requests to all", busy)
            old = world.stack.parts[service].process
            world.stack.send(service, signal.SIGTERM)
            assert old
            await world.stack.renewed(service, old.pid)
            assert old.returncode == 0, world.stack.parts[service].log.read_text()[-3000:]
            await eventually("requests to all", busy)

    print({client.service: (client.done, client.retried) for client in clients})
    assert {client.service: client.failed for client in clients if client.failed} == {}
    keys = [page.webhook_id for page in world.receiver.received[pages:]]
    assert len(keys) == len(set(keys)), "who ends well has waited for the pages on their way"
