"""Ends connections that died without a word, so that whoever waits for an answer does not wait in
vain.

The kernel gives up a peer that is gone. But a proxy, a pooler or a mesh may confirm everything and
forward nothing, and a frozen server does the same. A statement may also just be slow. So whoever
has waited for long is asked about on a new connection.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Sequence

import asyncpg

from shared.postgres.connecting import WatchedConnection, connect

log = logging.getLogger(__name__)
# Together less than 5 s, which is what a dead connection may cost.
_EVERY_SECONDS = 0.5
_PATIENCE_SECONDS = 1.5
_ASKING_SECONDS = 2.0
_ARRIVAL_SECONDS = 0.2


class Liveness:
    """Watches the connections of a pool."""

    def __init__(self, dsn: str, connections: Callable[[], Collection[WatchedConnection]]) -> None:
        self._dsn = dsn
        self._connections = connections

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            await asyncio.sleep(_EVERY_SECONDS)
            silent = [one for one in self._connections() if one.waits() > _PATIENCE_SECONDS]
            if not silent:
                continue
            if dead := await self._without_answer(silent):
                log.warning("connections died silently", extra={"connections": len(dead)})
                # Those that rest went the same way, most likely; nothing is lost with them.
                end_connections(self._connections(), dead)
            else:
                await asyncio.sleep(_PATIENCE_SECONDS)

    async def _without_answer(
        self, silent: Sequence[WatchedConnection]
    ) -> Sequence[WatchedConnection]:
        """Those for which the server is not working."""
        try:
            async with asyncio.timeout(_ASKING_SECONDS):
                working = await self._list_working([one.backend for one in silent])
        except (asyncpg.PostgresError, FileNotFoundError, PermissionError):
            return []  # it refuses a new connection, so it is there; or a file of the DSN is not
        except (OSError, asyncpg.InterfaceError, asyncpg.InternalClientError):
            working = set()
        # An answer may be on its way.
        await asyncio.sleep(_ARRIVAL_SECONDS)
        return [
            one
            for one in silent
            if one.backend not in working and one.waits() > _PATIENCE_SECONDS + _ARRIVAL_SECONDS
        ]

    async def _list_working(self, backends: Sequence[int]) -> set[int]:
        connection = await connect(self._dsn, "tocsin liveness", timeout=_ASKING_SECONDS)
        try:
            rows = await connection.fetch(
                """
                SELECT pid FROM pg_stat_activity
                WHERE pid = ANY($1::integer[]) AND state NOT LIKE 'idle%'
                """,
                list(backends),
            )
            return {row[0] for row in rows}
        finally:
            connection.terminate()


def end_connections(
    connections: Collection[WatchedConnection], dead: Sequence[WatchedConnection] = ()
) -> None:
    """End these, and all that wait for nothing."""
    for one in connections:
        if one in dead or not one.waits():
            one.terminate()
