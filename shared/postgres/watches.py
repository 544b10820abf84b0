"""Components that watch what the work of all replicas depends on: the clock, and a leader."""

import asyncio
import logging
from collections.abc import Sequence
from time import monotonic

from shared.postgres.clock import ClockUnknown
from shared.postgres.database import Database
from shared.postgres.errors import UNAVAILABLE
from shared.postgres.leadership import has_leader
from shared.runtime.clock import Clock, system_clock
from shared.telemetry import Level
from shared.telemetry.metrics import CLOCK_OFFSET

log = logging.getLogger(__name__)
_EVERY_SECONDS = 5.0
_MAX_OFFSET_SECONDS = 2.0
# A frozen leader's session ends after 5 s, and another replica is back after a failover of
# Postgres in as many again.
_GRACE_SECONDS = 15.0


class ClockWatch:
    """A component. Reads the database's clock now and then, and compares this machine's with it."""

    def __init__(self, database: Database, machine: Clock = system_clock) -> None:
        self._database = database
        self._machine = machine

    async def run(self) -> None:
        """Read until cancelled."""
        while True:
            try:
                async with self._database.connection() as connection:
                    await self._database.read_clock(connection)
            except UNAVAILABLE as error:
                # The time goes on by the timer.
                log.info("the clock cannot be read", extra={"error": type(error).__qualname__})
            await asyncio.sleep(_EVERY_SECONDS)

    def problems(self) -> list[str]:
        """A machine whose clock is more than 2 s off. Decisions go by the database's clock; times
        in logs, spans and Kafka records do not.
        """
        offset = self._offset()
        if offset is None or abs(offset) <= _MAX_OFFSET_SECONDS:
            return []
        where = "ahead of" if offset > 0 else "behind"
        return [f"this machine's clock is {abs(offset):.1f} s {where} the database's"]

    def levels(self) -> Sequence[Level]:
        """The difference."""
        offset = self._offset()
        return [] if offset is None else [Level(CLOCK_OFFSET, offset)]

    def _offset(self) -> float | None:
        try:
            return (self._machine() - self._database.clock()).total_seconds()
        except ClockUnknown:
            return None


class LeaderWatch:
    """A component. Looks whether any replica leads; `role` is as in `compete`."""

    def __init__(self, database: Database, role: str) -> None:
        self._database = database
        self._role = role
        self._missing_since: float | None = None

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            try:
                async with self._database.connection() as connection:
                    led = await has_leader(connection, self._role)
            except UNAVAILABLE as error:
                # Readiness says so itself.
                log.info("cannot look for a leader", extra={"error": type(error).__qualname__})
            else:
                self._missing_since = None if led else self._missing_since or monotonic()
            await asyncio.sleep(_EVERY_SECONDS)

    def problems(self) -> list[str]:
        """Nobody leads, and a new leader would have been there by now."""
        if self._missing_since is None:
            return []
        seconds = monotonic() - self._missing_since
        if seconds < _GRACE_SECONDS:
            return []
        return [f"no replica has led the {self._role} for {seconds:.0f} s: nothing is published"]
