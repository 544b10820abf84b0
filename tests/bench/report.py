"""The figures as tables."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from tests.bench.figures import Figures
from tests.bench.results import medians, ratios, targets

_COUNTS = (
    "accepted/s",
    "delivered",
    "delivered/s",
    "p50 ms",
    "p99 ms",
    "refused",
    "lost",
    "doubled",
    "CPU ms each",
)
_COMPARED = {
    "accepted/s": "accepted_rate",
    "delivered/s": "delivered_rate",
    "p50 ms": "p50_ms",
    "p99 ms": "p99_ms",
    "CPU ms each": "cpu_ms",
}


def line(run: Figures) -> str:
    """A run in short."""
    return (
        f"{run.system}: {run.accepted_rate:,.0f} accepted/s, {run.delivered_rate:,.0f} delivered/s, "
        f"p50 {run.p50_ms:,.0f} ms, p99 {run.p99_ms:,.0f} ms, lost {run.lost}, doubled {run.duplicated}"
    )


def show(console: Console, runs: Sequence[Figures], judge: bool) -> None:
    """All there is to say: medians over the rounds, ratios, costs and, if that is fair, the
    targets.
    """
    _show_figures(console, runs)
    _show_costs(console, runs)
    if judge:
        table = Table("target on 2 cores", "found", "reached", title="Targets")
        for target in targets(runs):
            table.add_row(target.wanted, target.found, "yes" if target.reached else "[bold]no[/]")
        console.print(table)


def _show_figures(console: Console, runs: Sequence[Figures]) -> None:
    compared = ratios(runs)
    table = Table(
        "workload", "system", title="Medians over the rounds; refused, lost and doubled are sums"
    )
    for name in (*_COUNTS, "tocsin/it: rate", "p50"):
        table.add_column(name, justify="right")
    for case, r in medians(runs).items():
        counts = (
            r.accepted_rate,
            r.delivered,
            r.delivered_rate,
            r.p50_ms,
            r.p99_ms,
            r.refused,
            r.lost,
            r.duplicated,
        )
        ratio = [f"{value:.2f}" for value in compared.get(case, ())]
        table.add_row(*case, *(f"{count:,}" for count in counts), str(r.cpu_ms), *ratio)
    console.print(table)


def _show_costs(console: Console, runs: Sequence[Figures]) -> None:
    table = Table("workload", "system", "CPU seconds / peak MB", title="What it took")
    for case, run in medians(runs).items():
        used = (
            f"{name} {cost.cpu_seconds:.1f} / {cost.peak_mb:.0f}"
            for name, cost in run.costs.items()
        )
        table.add_row(*case, ", ".join(used))
    console.print(table)


def show_change(console: Console, before: Sequence[Figures], after: Sequence[Figures]) -> None:
    """Each figure that both have, then and now."""
    table = Table("workload", "system", *_COMPARED, title="Change since the file")
    old = medians(before)
    for case, new in medians(after).items():
        if case in old:
            table.add_row(
                *case,
                *(_change(getattr(old[case], n), getattr(new, n)) for n in _COMPARED.values()),
            )
    console.print(table)


def _change(old: float, new: float) -> str:
    share = f"{new / old - 1:+.0%}" if old else "new"
    return f"{old:,} -> {new:,} ({share})"
