"""The figures as a table."""

from collections.abc import Iterable

from rich.console import Console
from rich.table import Table

from tests.bench.figures import Figures

_COLUMNS = ("accepted/s", "delivered", "delivered/s", "p50 ms", "p99 ms", "refused", "lost", "doubled")


def show(console: Console, results: Iterable[Figures]) -> None:
    """A row a run, and below what its processes took."""
    table = Table("workload", "system", *_COLUMNS)
    costs = Table("workload", "system", "CPU s / peak MB")
    for r in results:
        cells = (r.accepted_rate, r.delivered, r.delivered_rate, r.p50_ms, r.p99_ms, r.refused, r.lost, r.duplicated)
        table.add_row(r.workload, r.system, *(f"{cell:,}" for cell in cells))
        used = ", ".join(f"{name} {cost.cpu_seconds:.1f} / {cost.peak_mb:.0f}" for name, cost in r.costs.items())
        costs.add_row(r.workload, r.system, used)
    console.print(table)
    console.print(costs)
