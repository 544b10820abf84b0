"""Polls levels, so that a scrape is answered from memory: what waits in the database, and what
components know.
"""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Protocol, runtime_checkable

from shared.postgres.backlog import load_backlog
from shared.postgres.connection import Connection
from shared.postgres.database import Database
from shared.postgres.errors import UNAVAILABLE
from shared.runtime.clock import Clock, seconds_since
from shared.runtime.health import Component, reasons
from shared.telemetry import Level, measure, set_levels
from shared.telemetry.metrics import (
    CPU,
    GAUGE_FAILURES,
    MEMORY,
    OUTBOX_AGE,
    OUTBOX_ROWS,
    PROBLEMS,
    TIMERS_LATE,
)
from shared.telemetry.recording import level_metrics

log = logging.getLogger(__name__)
_PATIENCE_SECONDS = 5
_STATM = Path("/proc/self/statm")

GaugeQuery = Callable[[Connection, datetime], Awaitable[Sequence[Level]]]
"""Reads levels from a service's own tables: by an index, never by counting a large table."""


@runtime_checkable
class Measured(Protocol):
    """A component that has levels."""

    def levels(self) -> Sequence[Level]:
        """Their values now, from memory."""


class Gauges:
    """A component. Every replica reads the same tables: of these levels take the maximum over
    replicas, not the sum.
    """

    def __init__(
        self,
        database: Database,
        components: Mapping[str, Component],
        queries: Sequence[GaugeQuery],
        clock: Clock,
        every_seconds: float,
    ) -> None:
        self._database = database
        self._components = components
        self._queries = queries
        self._clock = clock
        self._every_seconds = every_seconds

    async def run(self) -> None:
        """Read until cancelled."""
        while True:
            # A level that cannot be read is dropped: an old one could hide a problem.
            set_levels(
                level_metrics(), [*_process(), *known(self._components), *await self._stored()]
            )
            await asyncio.sleep(self._every_seconds)

    def problems(self) -> list[str]:
        """None: `tocsin.gauges.failures` counts failures."""
        return []

    async def _stored(self) -> list[Level]:
        try:
            async with (
                asyncio.timeout(_PATIENCE_SECONDS),
                self._database.connection() as connection,
            ):
                now = self._clock()
                return [
                    level
                    for query in (_plumbing, *self._queries)
                    for level in await query(connection, now)
                ]
        except UNAVAILABLE as error:
            log.info("levels cannot be read", extra={"error": type(error).__qualname__})
            measure(GAUGE_FAILURES, 1)
            return []


def known(components: Mapping[str, Component]) -> Iterator[Level]:
    """What components know: their problems, counted, and their own levels."""
    problems, degraded = reasons(components)
    for name, component in components.items():
        yield Level(PROBLEMS, len(problems.get(name, ())), (name, "problem"))
        yield Level(PROBLEMS, len(degraded.get(name, ())), (name, "degraded"))
        if isinstance(component, Measured):
            yield from component.levels()


async def _plumbing(connection: Connection, now: datetime) -> list[Level]:
    backlog = await load_backlog(connection)
    return [
        Level(OUTBOX_AGE, seconds_since(backlog.outbox_since, now)),
        Level(OUTBOX_ROWS, backlog.outbox_rows),
        Level(TIMERS_LATE, seconds_since(backlog.timer_due, now)),
    ]


def _process() -> Iterator[Level]:
    used = os.times()
    yield Level(CPU, used.user, ("user",))
    yield Level(CPU, used.system, ("system",))
    try:
        pages = int(_STATM.read_text().split()[1])
    except OSError:  # not Linux, or too many files are open
        return
    yield Level(MEMORY, pages * os.sysconf("SC_PAGE_SIZE"))
