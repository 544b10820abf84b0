"""Server-sent events: every open page is told that something changed, and asks for what it shows.

An event carries nothing that could be missed: the first one of a connection makes the page look
again, so a lost connection, a restart and another replica are all the same to it.
"""

import asyncio
from collections.abc import AsyncIterator

_CALM_SECONDS = 0.2
_HEARTBEAT_SECONDS = 15


class Live:
    """A component that hands each change on to all readers together, at most five times a second.

    `changed` is set by whatever hears of commits, `stop` when the process ends, and streams must
    with it. A reader that is slow costs nothing: no events are queued for it.
    """

    def __init__(
        self, changed: asyncio.Event, stop: asyncio.Event, most_readers: int = 500
    ) -> None:
        self._changed = changed
        self._stop = stop
        self._most_readers = most_readers
        self._readers = 0
        self._next = asyncio.Event()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            told, self._next = self._next, asyncio.Event()
            told.set()
            await asyncio.sleep(_CALM_SECONDS)

    def problems(self) -> list[str]:
        """It needs nothing that could be missing."""
        return []

    @property
    def full(self) -> bool:
        """Whether as many read as this process will serve."""
        return self._readers >= self._most_readers

    async def stream(self) -> AsyncIterator[bytes]:
        """The body of a text/event-stream for one reader."""
        self._readers += 1
        try:
            yield b"retry: 2000\n\n"
            while not self._stop.is_set():
                # Taken before the reader looks: what changes while it does is in the next event.
                following = self._next
                yield b"event: changed\ndata: -\n\n"
                while not (following.is_set() or self._stop.is_set()):
                    if not await self._either(following):
                        # Keeps proxies from closing, and shows us a reader that has gone.
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
