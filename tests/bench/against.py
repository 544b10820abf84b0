"""This checkout against a baseline: the ratios of their figures, round by round, as a table."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from tests.bench.figures import Figures
from tests.bench.ratio import Ratio, ratio
from tests.bench.results import by_case, medians


@dataclass(frozen=True, slots=True)
class Measure:
    """A figure that is compared, and how it is written."""

    read: Callable[[Figures], float]
    form: str


MEASURES: Mapping[str, Measure] = {
    "accepted/s": Measure(lambda run: run.accepted_rate, ",.0f"),
    "delivered/s": Measure(lambda run: run.delivered_rate, ",.0f"),
    "p50 ms": Measure(lambda run: run.p50_ms, ",.1f"),
    "p99 ms": Measure(lambda run: run.p99_ms, ",.1f"),
    "CPU ms": Measure(lambda run: run.cpu_ms, ",.3f"),
}


def ratios_to(runs: Sequence[Figures], current: str, baseline: str) -> dict[str, dict[str, Ratio]]:
    """For each workload that both systems ran, the ratio of each measure."""
    cases = by_case(runs)
    return {
        workload: _ratios(ours, cases[workload, baseline])
        for (workload, system), ours in cases.items()
        if system == current and (workload, baseline) in cases
    }


def _ratios(current: Sequence[Figures], baseline: Sequence[Figures]) -> dict[str, Ratio]:
    found = {
        name: ratio(list(map(measure.read, current)), list(map(measure.read, baseline)))
        for name, measure in MEASURES.items()
    }
    return {name: value for name, value in found.items() if value}


def show_against(console: Console, runs: Sequence[Figures], current: str, baseline: str) -> None:
    """For each workload both versions' medians, and the ratios current / baseline.

    The ratios are taken within each round; their median, lowest and highest are shown.
    """
    table = Table("workload", "", title=f"Against {baseline}: medians over the rounds")
    for name in MEASURES:
        table.add_column(name, justify="right")
    middle = medians(runs)
    for workload, ratios in ratios_to(runs, current, baseline).items():
        table.add_row(workload, "current", *_written(middle[workload, current]))
        table.add_row("", "baseline", *_written(middle[workload, baseline]))
        table.add_row("", "ratio", *_cells(ratios, lambda it: it.median), style="bold")
        table.add_row("", "lowest", *_cells(ratios, lambda it: it.lowest))
        table.add_row("", "highest", *_cells(ratios, lambda it: it.highest), end_section=True)
    console.print(table)


def _written(run: Figures) -> list[str]:
    return [format(measure.read(run), measure.form) for measure in MEASURES.values()]


def _cells(ratios: Mapping[str, Ratio], read: Callable[[Ratio], float]) -> list[str]:
    return [f"{read(ratios[name]):.2f}" if name in ratios else "" for name in MEASURES]
