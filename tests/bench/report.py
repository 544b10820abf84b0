"""The figures as tables."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from tests.bench.cost import Cost
from tests.bench.figures import Figures
from tests.bench.results import medians, ratios, targets

_COUNTS = {
    "accepted/s": "accepted_rate",
    "delivered": "delivered",
    "delivered/s": "delivered_rate",
    "p50 ms": "p50_ms",
    "p99 ms": "p99_ms",
    "refused": "refused",
    "lost": "lost",
    "doubled": "duplicated",
}
_COMPARED = {
    "accepted/s": "accepted_rate",
    "delivered/s": "delivered_rate",
    "p50 ms": "p50_ms",
    "p99 ms": "p99_ms",
    "CPU ms each": "cpu_ms",
}


def line(run: Figures) -> str:
    """A run in one line."""
    return (
        f"{run.system}: {run.accepted_rate:,.0f} accepted/s, "
        f"{run.delivered_rate:,.0f} delivered/s, "
        f"p50 {run.p50_ms:,.0f} ms, p99 {run.p99_ms:,.0f} ms, "
        f"lost {run.lost}, doubled {run.duplicated}"
    )


def show(console: Console, runs: Sequence[Figures], judge: bool) -> None:
    """Medians over the rounds, ratios, costs and, if they are to be judged, the targets."""
    _show_figures(console, runs)
    _show_costs(console, runs)
    if judge:
        table = Table("target on 2 cores", "found", "reached", title="Targets")
        for target in targets(runs):
            table.add_row(target.wanted, target.found, "yes" if target.reached else "[bold]no[/]")
        console.print(table)


def _show_figures(console: Console, runs: Sequence[Figures]) -> None:
    compared = ratios(runs)
    title = "Medians over the rounds; refused, lost and doubled are sums"
    table = Table("workload", "system", title=title)
    for name in (*_COUNTS, "CPU ms each", "tocsin/it: rate", "p50"):
        table.add_column(name, justify="right")
    for case, run in medians(runs).items():
        counts = [f"{getattr(run, name):,}" for name in _COUNTS.values()]
        ratio = [f"{value:.2f}" for value in compared.get(case, ())]
        table.add_row(*case, *counts, f"{run.cpu_ms:.2f}", *ratio)
    console.print(table)


def _show_costs(console: Console, runs: Sequence[Figures]) -> None:
    table = Table("workload", "system", "CPU seconds / peak MB", title="Costs")
    for case, run in medians(runs).items():
        table.add_row(*case, ", ".join(_cost(name, cost) for name, cost in run.costs.items()))
    console.print(table)


def _cost(name: str, cost: Cost) -> str:
    return f"{name} {cost.cpu_seconds:.1f} / {cost.peak_mb:.0f}"


def show_change(console: Console, before: Sequence[Figures], after: Sequence[Figures]) -> None:
    """The figures of the cases that are in both, before and after."""
    table = Table("workload", "system", *_COMPARED, title="Change since the file")
    old = medians(before)
    for case, new in medians(after).items():
        if case in old:
            names = _COMPARED.values()
            changes = [_change(getattr(old[case], name), getattr(new, name)) for name in names]
            table.add_row(*case, *changes)
    console.print(table)


def _change(old: float, new: float) -> str:
    share = f"{new / old - 1:+.0%}" if old else "new"
    return f"{round(old, 2):,} -> {round(new, 2):,} ({share})"
