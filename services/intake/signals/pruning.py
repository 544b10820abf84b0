"""Forgetting what is older than the window in which repeats are recognised."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from services.intake.signals import store
from shared.postgres.connection import Connection
from shared.postgres.database import Database
from shared.postgres.errors import UNAVAILABLE
from shared.runtime.clock import Clock

log = logging.getLogger(__name__)
_EVERY_SECONDS = 600

Forget = Callable[[Connection, datetime], Awaitable[None]]
"""Deletes what another capability keeps for the same window and that is older than an instant."""


class Pruning:
    """A component. Deletes old signals now and then, and what `also` keeps as long."""

    def __init__(
        self, database: Database, window: Callable[[], timedelta], also: Forget, clock: Clock
    ) -> None:
        self._database = database
        self._window = window
        self._also = also
        self._clock = clock

    async def run(self) -> None:
        """Prune now and then until cancelled."""
        while True:
            try:
                await self._prune()
            except UNAVAILABLE as error:
                log.warning("old signals stay for now", extra={"error": type(error).__qualname__})
            await asyncio.sleep(_EVERY_SECONDS)

    def problems(self) -> list[str]:
        """None: what stays too long costs space only."""
        return []

    async def _prune(self) -> None:
        before = self._clock() - self._window()
        async with self._database.connection() as connection:
            while await store.delete_old_signals(connection, before):
                pass
            await self._also(connection, before)
