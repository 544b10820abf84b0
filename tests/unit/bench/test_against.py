"""The comparison with a baseline: each measure, and the table."""

import io

from rich.console import Console

from tests.bench.against import ratios_to, show_against
from tests.bench.cost import Cost
from tests.bench.figures import Figures

BASELINE = "tocsin 7bf9c2a"


def run(system: str, *, p50: float, cpu: float = 2.0, workload: str = "a") -> Figures:
    """A run of 1,000 alerts. `cpu` is in seconds, so it is also the milliseconds per alert."""
    return Figures(
        system,
        workload,
        accepted=1_000,
        refused=0,
        accepted_rate=1_000.0,
        delivered=1_000,
        delivered_rate=900.0,
        p50_ms=p50,
        p99_ms=2 * p50,
        lost=0,
        duplicated=0,
        costs={"intake": Cost(cpu, 100.0)},
    )


def test_each_measure_of_each_workload_is_compared_whatever_the_order_of_the_runs() -> None:
    runs = [
        run("tocsin", p50=40, cpu=2.0),
        run(BASELINE, p50=50, cpu=1.0),
        run("bare loop", p50=9),
        run(BASELINE, p50=100, cpu=1.0),
        run("tocsin", p50=80, cpu=2.0),
        run("tocsin", p50=10, workload="d"),
    ]

    found = ratios_to(runs, "tocsin", BASELINE)

    assert list(found) == ["a"], "the baseline has not run d"
    medians = {name: round(it.median, 6) for name, it in found["a"].items()}
    assert medians == {
        "accepted/s": 1.0,
        "delivered/s": 1.0,
        "p50 ms": 0.8,
        "p99 ms": 0.8,
        "CPU ms": 2.0,
    }


def test_the_table_shows_both_versions_and_their_ratios() -> None:
    runs = [
        run("tocsin", p50=40, cpu=2.2),
        run(BASELINE, p50=50, cpu=2.0),
        run("tocsin", p50=62.5, cpu=2.2),
        run(BASELINE, p50=50, cpu=2.0),
    ]
    console = Console(width=80, record=True, file=io.StringIO())

    show_against(console, runs, "tocsin", BASELINE)

    rows = [line.replace("\u2502", " ").split() for line in console.export_text().splitlines()]
    assert ["a", "current", "1,000", "900", "51.2", "102.5", "2.200"] in rows
    assert ["baseline", "1,000", "900", "50.0", "100.0", "2.000"] in rows
    assert ["ratio", "1.00", "1.00", "1.00", "1.00", "1.10"] in rows
    assert ["lowest", "1.00", "1.00", "0.80", "0.80", "1.10"] in rows
    assert ["highest", "1.00", "1.00", "1.25", "1.25", "1.10"] in rows
