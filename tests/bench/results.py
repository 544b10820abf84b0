"""Many runs: medians over the rounds, ratios within the rounds, and the file of the figures."""

import os
import platform
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from tests.bench import bare_loop
from tests.bench.cost import Cost
from tests.bench.figures import Figures
from tests.bench.ratio import ratio
from tests.bench.tocsin import NAME
from tests.support.running import SERVICES

Case = tuple[str, str]
"""A workload's and a system's name."""


def by_case(runs: Iterable[Figures]) -> dict[Case, list[Figures]]:
    """The rounds of each workload and system, in order."""
    found: dict[Case, list[Figures]] = {}
    for run in runs:
        found.setdefault((run.workload, run.system), []).append(run)
    return found


def medians(runs: Iterable[Figures]) -> dict[Case, Figures]:
    """For each workload and system: medians of rates and delays, sums of faults, highest peaks."""
    return {case: _median(rounds) for case, rounds in by_case(runs).items()}


def _median(rounds: Sequence[Figures]) -> Figures:
    def middle(read: Callable[[Figures], float]) -> float:
        return round(statistics.median(map(read, rounds)), 1)

    costs = {name: _median_cost([run.costs[name] for run in rounds]) for name in rounds[0].costs}
    return replace(
        rounds[0],
        accepted_rate=middle(lambda run: run.accepted_rate),
        delivered_rate=middle(lambda run: run.delivered_rate),
        p50_ms=middle(lambda run: run.p50_ms),
        p99_ms=middle(lambda run: run.p99_ms),
        refused=sum(run.refused for run in rounds),
        lost=sum(run.lost for run in rounds),
        duplicated=sum(run.duplicated for run in rounds),
        costs=costs,
    )


def _median_cost(rounds: Sequence[Cost]) -> Cost:
    seconds = statistics.median(cost.cpu_seconds for cost in rounds)
    return Cost(round(seconds, 2), max(cost.peak_mb for cost in rounds))


def ratios(runs: Iterable[Figures]) -> dict[Case, tuple[float, float]]:
    """For each workload, the ratios of Tocsin to each other system: of delivered/s and of p50.

    They are medians over the rounds of each round's ratio.
    """
    cases = by_case(runs)
    return {
        (workload, system): (_ratio(ours, rounds, "delivered_rate"), _ratio(ours, rounds, "p50_ms"))
        for (workload, system), rounds in cases.items()
        if system != NAME and (ours := cases.get((workload, NAME)))
    }


def _ratio(ours: Sequence[Figures], theirs: Sequence[Figures], name: str) -> float:
    found = ratio([getattr(run, name) for run in ours], [getattr(run, name) for run in theirs])
    return found.median if found else 0.0


@dataclass(frozen=True, slots=True)
class Target:
    """What has to be reached on two cores, what was found, and whether that is enough."""

    wanted: str
    found: str
    reached: bool


def targets(runs: Sequence[Figures]) -> list[Target]:
    """The targets that can be judged by these runs."""
    ours = {workload: run for (workload, name), run in medians(runs).items() if name == NAME}
    judged = []
    if unique := ours.get("a"):
        judged.append(_unique(unique, ratios(runs).get(("a", bare_loop.NAME), (0.0, 0.0))[0]))
    if paced := ours.get("b100"):
        judged.append(_paced(paced))
    if storm := ours.get("c"):
        judged.append(_storm(storm))
    return [*judged, _nothing_lost(ours.values()), _memory(ours.values())]


def _unique(run: Figures, ratio: float) -> Target:
    rate = run.delivered_rate
    wanted = "a: 1,200 delivered/s or 0.13 of the bare loop"
    return Target(wanted, f"{rate:,.0f}/s, {ratio:.2f}", rate >= 1_200 or ratio >= 0.13)


def _paced(run: Figures) -> Target:
    reached = run.p50_ms <= 25 and run.p99_ms <= 100 and run.cpu_ms <= 11
    found = f"{run.p50_ms}, {run.p99_ms}, {run.cpu_ms:.1f} ms"
    return Target("b100: p50 <= 25 ms, p99 <= 100 ms, CPU <= 11 ms", found, reached)


def _storm(run: Figures) -> Target:
    rate = run.accepted_rate
    return Target("c: 15,000 alerts/s accepted", f"{rate:,.0f}/s", rate >= 15_000)


def _nothing_lost(runs: Iterable[Figures]) -> Target:
    lost = sum(run.lost for run in runs)
    return Target("nothing acknowledged is lost", f"{lost:,}", lost == 0)


def _memory(runs: Iterable[Figures]) -> Target:
    peak, name = max((run.costs[name].peak_mb, name) for run in runs for name in SERVICES)
    return Target("a service's peak memory <= 150 MB", f"{peak:.0f} MB ({name})", peak <= 150)


def machine() -> dict[str, str]:
    """The machine that the figures are from, and the time."""
    return {
        "at": f"{datetime.now(UTC):%Y-%m-%d %H:%M}Z",
        "cores": str(os.cpu_count()),
        "processor": _processor(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load": f"{os.getloadavg()[0]:.1f}",
    }


def _processor() -> str:
    file = Path("/proc/cpuinfo")
    lines = file.read_text().splitlines() if file.exists() else []
    models = (line.partition(": ")[2] for line in lines if line.startswith("model name"))
    return next(models, platform.processor())


def save(path: Path, about: dict[str, str], runs: Sequence[Figures]) -> None:
    """Write a file that `load` reads."""
    document = {"about": about, "runs": [asdict(run) for run in runs]}
    path.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2))


def load(path: Path) -> list[Figures]:
    """The runs of a file."""
    return [_figures(run) for run in orjson.loads(path.read_bytes())["runs"]]


def _figures(kept: Mapping[str, Any]) -> Figures:
    costs = {name: Cost(**cost) for name, cost in kept["costs"].items()}
    return Figures(**{**kept, "costs": costs})
