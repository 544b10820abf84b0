"""What alerts cost when many incidents are open, and with two replicas of each service."""

import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace

from rich.console import Console
from rich.table import Table

from tests.bench.candidate import Candidate
from tests.bench.figures import Figures
from tests.bench.measured import Inbox, inbox
from tests.bench.servers import Servers
from tests.bench.tocsin import fresh, measure, reported, second_replicas
from tests.bench.workloads import WORKLOADS, Workload
from tests.support.running import SERVICES, Running

SIZES = (0, 10_000, 100_000)
_PACED_COLUMNS = ("100/s: p50 ms", "p99 ms", "CPU ms each")
_FAST_COLUMNS = ("2,000: delivered/s", "p50 ms", "p99 ms", "peak MB")
_PACED = WORKLOADS["b100"]
_FAST = replace(WORKLOADS["a"], events=2_000, things=2_000)
_BATCH = 1_000
_OTHERS = 10_000_000
"""From this number on, incidents are only there to be open."""


@dataclass(frozen=True, slots=True)
class Row:
    """The figures with so many replicas and open incidents.

    `filled_rate` is how many of these incidents were paged a second while they were opened.
    """

    replicas: int
    opened: int
    filled_rate: float
    paced: Figures
    fast: Figures


@dataclass(frozen=True, slots=True)
class _Growing:
    """A Tocsin in which more and more incidents are open."""

    servers: Servers
    receiver: Inbox
    tocsin: Running
    replicas: int

    async def measure_at(self, sizes: Sequence[int], console: Console) -> AsyncIterator[Row]:
        """Measure at each size. The incidents are sent to intake and paged like any others."""
        pages = 0
        for turn, size in enumerate(sizes):
            rate = await self._fill(pages, size)
            opened = max(pages, size)
            console.log(f"{self.replicas} of each service, {opened:,} incidents open")
            first = turn * (_PACED.events + _FAST.events)
            paced = await self._measure(replace(_PACED, first=first))
            fast = await self._measure(replace(_FAST, first=first + _PACED.events))
            pages = opened + paced.delivered + fast.delivered
            await reported(self.tocsin, pages, 900)
            yield Row(self.replicas, opened, rate, paced, fast)

    async def _fill(self, present: int, wanted: int) -> float:
        """Open the incidents that are missing; returns how many a second were paged."""
        if wanted <= present:
            return 0.0
        began, missing = time.monotonic(), wanted - present
        first = _OTHERS + present
        await self._measure(Workload("open", "", missing, missing, batch=_BATCH, first=first))
        seconds = time.monotonic() - began
        await reported(self.tocsin, wanted, 900)
        return round(missing / seconds, 1)

    async def _measure(self, workload: Workload) -> Figures:
        return await measure(workload, self.servers, self.receiver, self.tocsin)


async def growth(
    servers: Servers, candidate: Candidate, sizes: Sequence[int], console: Console
) -> list[Row]:
    """Measure with one and with two replicas of each service."""
    rows = []
    for replicas in (1, 2):
        async with inbox() as receiver, fresh(servers, receiver, candidate) as tocsin:
            if replicas == 2:
                await second_replicas(tocsin)
            growing = _Growing(servers, receiver, tocsin, replicas)
            async for row in growing.measure_at(sizes, console):
                rows.append(row)
                show(console, [row])
    return rows


def show(console: Console, rows: Sequence[Row]) -> None:
    """Show rows as a table."""
    table = Table("replicas", "open before", "opened/s", title="As it grows")
    for name in (*_PACED_COLUMNS, *_FAST_COLUMNS):
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(str(row.replicas), f"{row.opened:,}", f"{row.filled_rate:,}", *_cells(row))
    console.print(table)


def _cells(row: Row) -> list[str]:
    paced, fast = row.paced, row.fast
    peak = max(fast.costs[name].peak_mb for name in SERVICES)
    return [
        *(f"{figure:,}" for figure in (paced.p50_ms, paced.p99_ms, round(paced.cpu_ms, 2))),
        *(f"{figure:,}" for figure in (fast.delivered_rate, fast.p50_ms, fast.p99_ms, peak)),
    ]
