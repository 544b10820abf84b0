"""What the same workload costs when many incidents are open, and with two replicas of each service."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from rich.console import Console
from rich.table import Table

from tests.bench.figures import Figures
from tests.bench.measured import Inbox, inbox
from tests.bench.servers import Servers
from tests.bench.tocsin import fresh, measure, reported, second_replicas
from tests.bench.workloads import WORKLOADS, Workload
from tests.support.running import SERVICES, Running

SIZES = (0, 10_000, 100_000)
_PACED = WORKLOADS["b100"]
_FAST = replace(WORKLOADS["a"], events=2_000, things=2_000)
_BATCH = 1_000
_OTHERS = 10_000_000
"""Numbers from here on are those of the incidents that are merely open."""


@dataclass(frozen=True, slots=True)
class Row:
    """What was measured with so many replicas and open incidents, and how many a second were paged
    to open them.
    """

    replicas: int
    opened: int
    filled_rate: float
    paced: Figures
    fast: Figures


async def growth(servers: Servers, sizes: Sequence[int], console: Console) -> list[Row]:
    """Measure with one and with two replicas; the incidents come through the front and are paged
    like any.
    """
    rows = []
    for replicas in (1, 2):
        async with inbox() as receiver, fresh(servers, receiver) as tocsin:
            if replicas == 2:
                await second_replicas(tocsin)
            pages = 0
            for turn, size in enumerate(sizes):
                rate = await _fill(servers, receiver, tocsin, pages, size)
                opened = pages = max(pages, size)
                console.log(f"{replicas} of each service, {opened:,} incidents open")
                shift = turn * (_PACED.events + _FAST.events)
                paced = await measure(replace(_PACED, first=shift), servers, receiver, tocsin)
                fast = await measure(
                    replace(_FAST, first=shift + _PACED.events), servers, receiver, tocsin
                )
                pages += paced.delivered + fast.delivered
                await reported(tocsin, pages, 900)
                rows.append(Row(replicas, opened, rate, paced, fast))
                show(console, rows[-1:])
    return rows


async def _fill(
    servers: Servers, receiver: Inbox, tocsin: Running, present: int, wanted: int
) -> float:
    """Open what is missing, in batches; returns how many a second were paged."""
    if wanted <= present:
        return 0.0
    began, missing = time.monotonic(), wanted - present
    load = Workload("open", "", missing, missing, batch=_BATCH, first=_OTHERS + present)
    await measure(load, servers, receiver, tocsin)
    seconds = time.monotonic() - began
    await reported(tocsin, wanted, 900)
    return round(missing / seconds, 1)


def show(console: Console, rows: Sequence[Row]) -> None:
    """The table."""
    table = Table("replicas", "open before", "opened/s", title="As it grows")
    for name in (
        "100/s: p50 ms",
        "p99 ms",
        "CPU ms each",
        "2,000: delivered/s",
        "p50 ms",
        "p99 ms",
        "peak MB",
    ):
        table.add_column(name, justify="right")
    for row in rows:
        paced, fast = row.paced, row.fast
        peak = max(fast.costs[name].peak_mb for name in SERVICES)
        cells = (
            paced.p50_ms,
            paced.p99_ms,
            paced.cpu_ms,
            fast.delivered_rate,
            fast.p50_ms,
            fast.p99_ms,
            peak,
        )
        table.add_row(
            str(row.replicas),
            f"{row.opened:,}",
            f"{row.filled_rate:,}",
            *(f"{cell:,}" for cell in cells),
        )
    console.print(table)
