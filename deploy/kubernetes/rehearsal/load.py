"""A steady load from outside of the cluster, on the ports of the node: no request may fail."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

import aiohttp

_PAUSE_SECONDS = 0.02
_TIMEOUT = aiohttp.ClientTimeout(total=30)


@dataclass
class Client:
    """Sends one kind of request to a service, on kept connections and new ones by turns. With a
    `trial` these are signals, which name it.

    A server may close a kept connection just as a request is sent on it, which HTTP/1.1 cannot
    prevent: that request is sent again on a new connection. There, every request has to succeed.
    """

    service: str
    method: str
    url: str
    headers: dict[str, str]
    trial: str = ""
    sent: list[str] = field(default_factory=list)
    repeated: int = 0
    failed: list[str] = field(default_factory=list)
    stopped: bool = False
    _reused: bool = False
    _began: float = field(default_factory=monotonic)

    async def run(self) -> None:
        """Send until `stopped`."""
        watch = aiohttp.TraceConfig()
        watch.on_connection_reuseconn.append(self._note_reuse)
        async with (
            aiohttp.ClientSession(trace_configs=[watch], timeout=_TIMEOUT) as keeping,
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(force_close=True), timeout=_TIMEOUT
            ) as opening,
        ):
            for number in itertools.takewhile(lambda _: not self.stopped, itertools.count()):
                await self._send(number, keeping if number % 2 else opening, opening)
                await asyncio.sleep(_PAUSE_SECONDS)

    async def _send(
        self, number: int, session: aiohttp.ClientSession, fresh: aiohttp.ClientSession
    ) -> None:
        identity = f"{self.trial}-{number}"
        self._reused = False
        try:
            problem = await self._request(session, identity)
        except aiohttp.ClientError as error:
            if not self._reused:
                self._fail(repr(error))
                return
            self.repeated += 1
            try:
                problem = await self._request(fresh, identity)
            except (aiohttp.ClientError, TimeoutError) as again:
                problem = repr(again)
        except TimeoutError:
            problem = "no answer within 30 s"
        if problem:
            self._fail(problem)
        else:
            self.sent.append(identity)

    def _fail(self, problem: str) -> None:
        self.failed.append(f"after {monotonic() - self._began:.1f} s {problem}")

    async def _request(self, session: aiohttp.ClientSession, identity: str) -> str | None:
        """What is wrong with the answer."""
        body = _alert(identity) if self.trial else None
        async with session.request(
            self.method, self.url, json=body, headers=self.headers
        ) as answer:
            text = await answer.text()
            return None if answer.status < 300 else f"{answer.status} {text[:200]}"

    async def _note_reuse(self, *_: Any) -> None:
        self._reused = True


def _alert(identity: str) -> dict[str, Any]:
    """One incident each, of no urgency: nobody is paged for it."""
    return {
        "specversion": "1.0",
        "id": identity,
        "source": "/rehearsal",
        "type": "tocsin.signals.Alert",
        "data": {
            "key": identity,
            "service": "wiki",
            "severity": "info",
            "summary": summary_of(identity),
        },
    }


def summary_of(identity: str) -> str:
    """The summary of the incident that a signal makes."""
    return f"rehearsal {identity}"


@asynccontextmanager
async def load(clients: Sequence[Client]) -> AsyncIterator[None]:
    """All clients send inside the block; what they have sent then is answered before it ends."""
    tasks = [asyncio.create_task(client.run(), name=client.service) for client in clients]
    try:
        yield
    finally:
        for client in clients:
            client.stopped = True
        await asyncio.gather(*tasks)
