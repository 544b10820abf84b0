"""Server-sent events: every open page is notified of changes, and requests itself again.

Events carry no data, so none can be missed: the first one of a connection makes the page refresh.
After a lost connection, a restart or a change of replica, the page is up to date again.
"""

import asyncio
from collections.abc import AsyncIterator

_MIN_SECONDS_BETWEEN = 0.2
_HEARTBEAT_SECONDS = 15


class Live:
    """A component that passes changes on to all readers at once, at most five times a second.

    `changed` is set on every commit, `stop` when the process ends, which ends the streams too. No
    events are queued, so a slow reader costs nothing.
    """

    def __init__(self, changed: asyncio.Event, stop: asyncio.Event, max_readers: int = 500) -> None:
        self._changed = changed
        self._stop = stop
        self._max_readers = max_readers
        self._readers = 0
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

    @property
    def full(self) -> bool:
        """Whether there are as many readers as this process serves."""
        return self._readers >= self._max_readers

    async def stream(self) -> AsyncIterator[bytes]:
        """The body of a text/event-stream for one reader."""
        self._readers += 1
        try:
            yield b"retry: 2000\n\n"
            while not self._stop.is_set():
                # Taken before the reader refreshes: what changes meanwhile causes the next event.
                following = self._next
                yield b"event: changed\ndata: -\n\n"
                while not (following.is_set() or self._stop.is_set()):
                    if not await self._either(following):
                        # Keeps proxies from closing the connection, and detects readers that left.
                        yield b": still here\n\n"
        finally:
            self._readers -= 1

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
