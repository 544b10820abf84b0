"""Server-sent events: every open page is notified of changes, and requests itself again.

Events carry no data, so none can be missed: the first one of a connection makes the page refresh.
After a lost connection, a restart or a change of replica, the page is up to date again.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from shared.http.network import client_of
from shared.http.problems import Problem

_MIN_SECONDS_BETWEEN = 0.2
_HEARTBEAT_SECONDS = 15
_MAX_READERS = 500


class Live:
    """A component that passes changes on to all readers at once, at most five times a second.

    `changed` is set on every commit, `stop` when the process ends, which ends the streams too. No
    events are queued, so a slow reader costs nothing. A client has at most `max_of_client` readers.
    """

    def __init__(
        self,
        changed: asyncio.Event,
        stop: asyncio.Event,
        max_of_client: int,
        max_readers: int = _MAX_READERS,
    ) -> None:
        self._changed = changed
        self._stop = stop
        self._max_of_client = max_of_client
        self._max_readers = max_readers
        self._readers: Counter[str] = Counter()
        self._next = asyncio.Event()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            signalled, self._next = self._next, asyncio.Event()
            signalled.set()
            await asyncio.sleep(_MIN_SECONDS_BETWEEN)

    def problems(self) -> list[str]:
        """None: it depends on nothing outside this process."""
        return []

    def open(self, address: str) -> StreamingResponse:
        """A stream for a reader at this IP address. Raises Problem when it has as many as a client
        may have (429), or this process serves (503).
        """
        client = client_of(address)
        if self._readers[client] >= self._max_of_client:
            detail = f"{self._max_of_client} streams of this client are open; close one of them"
            raise Problem(429, "Too many streams", detail, {"Retry-After": "30"})
        if self._readers.total() >= self._max_readers:
            detail = "every stream is taken; try again later"
            raise Problem(503, "Too many readers", detail, {"Retry-After": "30"})
        self._readers[client] += 1  # before anything is awaited, so that no bound is passed
        return _Stream(self, client)

    def leave(self, client: str) -> None:
        """A reader has gone."""
        self._readers[client] -= 1
        self._readers += Counter()  # forgets who has none

    async def events(self) -> AsyncIterator[bytes]:
        """What one reader is sent."""
        yield b"retry: 2000\n\n"
        while not self._stop.is_set():
            # Taken before the reader refreshes: what changes meanwhile causes the next event.
            following = self._next
            yield b"event: changed\ndata: -\n\n"
            while not (following.is_set() or self._stop.is_set()):
                if not await self._either(following):
                    # Keeps proxies from closing the connection, and detects readers that left.
                    yield b": still here\n\n"

    async def _either(self, following: asyncio.Event) -> bool:
        """Wait for the next change or the stop; False when neither came in time."""
        waits = [asyncio.create_task(event.wait()) for event in (following, self._stop)]
        try:
            done, _ = await asyncio.wait(
                waits, timeout=_HEARTBEAT_SECONDS, return_when=asyncio.FIRST_COMPLETED
            )
            return bool(done)
        finally:
            for wait in waits:
                wait.cancel()


class _Stream(StreamingResponse):
    """The answer to a reader, who counts until it ends."""

    def __init__(self, live: Live, client: str) -> None:
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(live.events(), media_type="text/event-stream", headers=headers)
        self._live = live
        self._client = client

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send events until the reader leaves or the process stops."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._live.leave(self._client)
