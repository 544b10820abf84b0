"""Listens for notifications (NOTIFY) on one connection per process."""

import asyncio
import logging
from contextlib import suppress

from shared.postgres.connecting import connect
from shared.postgres.connection import Connection
from shared.postgres.errors import UNAVAILABLE

log = logging.getLogger(__name__)
# Together less than 5 s: so late is a notification at most when the connection has died silently.
_PING_SECONDS = 2
_COMMAND_SECONDS = 2.5
_RETRY_SECONDS = 1


async def wait_at_most(seconds: float, event: asyncio.Event) -> None:
    """Wait until the event is set, or for so many seconds."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


class Wake:
    """A component that sets events when their channel is notified. LISTEN does not work through
    a transaction pooler, which a Database refuses.
    """

    def __init__(self, dsn: str, service: str) -> None:
        self._dsn = dsn
        self._service = service
        self._events: dict[str, list[asyncio.Event]] = {}
        self._listening = False

    def subscribe(self, channel: str) -> asyncio.Event:
        """An event that is set by every notification on `<service>.<channel>`, and whenever some
        may have been missed.

        The subscriber clears it before it queries. Subscribe before `run` starts.
        """
        event = asyncio.Event()
        self._events.setdefault(f"{self._service}.{channel}", []).append(event)
        return event

    async def run(self) -> None:
        """Listen until cancelled, connecting again whenever the connection is lost."""
        while True:
            try:
                await self._listen()
            except UNAVAILABLE as error:
                log.warning(
                    "not listening for notifications", extra={"error": type(error).__qualname__}
                )
            finally:
                self._listening = False
            await asyncio.sleep(_RETRY_SECONDS)

    def problems(self) -> list[str]:
        """Missed notifications cost latency only: subscribers query now and then anyway."""
        return [] if self._listening else ["not listening for notifications"]

    async def _listen(self) -> None:
        connection: Connection = await connect(
            self._dsn, f"{self._service} wake", command_timeout=_COMMAND_SECONDS
        )
        try:
            lost = asyncio.Event()
            connection.add_termination_listener(lambda _: lost.set())
            for channel in self._events:
                await connection.add_listener(channel, self._notified)
            self._listening = True
            for channel in self._events:
                self._wake(channel)
            while not lost.is_set():
                await wait_at_most(_PING_SECONDS, lost)
                # A peer that vanished is silent too: only an answer shows that notifications can
                # still arrive.
                await connection.execute("SELECT 1")
        finally:
            connection.terminate()

    def _notified(self, _connection: object, _pid: int, channel: str, _payload: object) -> None:
        self._wake(channel)

    def _wake(self, channel: str) -> None:
        for event in self._events[channel]:
            event.set()
