"""Many runs: medians over the rounds, ratios within them, and the file they are kept in."""

import os
import platform
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import orjson

from tests.bench import bare_loop, tocsin
from tests.bench.cost import Cost
from tests.bench.figures import Figures
from tests.support.running import SERVICES

_MEASURED = ("accepted_rate", "delivered_rate", "p50_ms", "p99_ms")
Case = tuple[str, str]
"""A workload's and a system's name."""


def by_case(runs: Iterable[Figures]) -> dict[Case, list[Figures]]:
    """The rounds of each workload and system, in order."""
    found: dict[Case, list[Figures]] = {}
    for run in runs:
        found.setdefault((run.workload, run.system), []).append(run)
    return found


def medians(runs: Iterable[Figures]) -> dict[Case, Figures]:
    """One line a workload and system: medians of what is measured, sums of what must not be, the
    highest peaks.
    """
    return {case: _median(rounds) for case, rounds in by_case(runs).items()}


def _median(rounds: Sequence[Figures]) -> Figures:
    middle = {
        name: round(statistics.median(getattr(run, name) for run in rounds), 1)
        for name in _MEASURED
    }
    costs = {
        name: Cost(
            round(statistics.median(run.costs[name].cpu_seconds for run in rounds), 2),
            max(run.costs[name].peak_mb for run in rounds),
        )
        for name in rounds[0].costs
    }
    return replace(
        rounds[0],
        **middle,
        refused=sum(run.refused for run in rounds),
        lost=sum(run.lost for run in rounds),
        duplicated=sum(run.duplicated for run in rounds),
        costs=costs,
    )


def ratios(runs: Iterable[Figures]) -> dict[Case, tuple[float, float]]:
    """Tocsin to each other system, by workload: medians over the rounds of the ratios of
    delivered/s and of p50.
    """
    cases = by_case(runs)
    return {
        (workload, system): (_ratio(ours, rounds, "delivered_rate"), _ratio(ours, rounds, "p50_ms"))
        for (workload, system), rounds in cases.items()
        if system != tocsin.NAME and (ours := cases.get((workload, tocsin.NAME)))
    }


def _ratio(ours: Sequence[Figures], theirs: Sequence[Figures], name: str) -> float:
    pairs = zip(ours, theirs, strict=False)
    return float(
        statistics.median(getattr(our, name) / (getattr(their, name) or 1) for our, their in pairs)
    )


@dataclass(frozen=True, slots=True)
class Target:
    """What must be reached on two cores, what was, and whether that is enough."""

    wanted: str
    found: str
    reached: bool


def targets(runs: Sequence[Figures]) -> list[Target]:
    """Those that these runs say something about."""
    found, compared = medians(runs), ratios(runs)
    judged = []
    if unique := found.get(("a", tocsin.NAME)):
        rate, ratio = unique.delivered_rate, compared.get(("a", bare_loop.NAME), (0.0, 0.0))[0]
        wanted = "a: 1,000 delivered/s or 0.12 of the bare loop"
        judged.append(Target(wanted, f"{rate:,.0f}/s, {ratio:.2f}", rate >= 1_000 or ratio >= 0.12))
    if paced := found.get(("b100", tocsin.NAME)):
        reached = paced.p50_ms <= 40 and paced.p99_ms <= 150
        judged.append(
            Target(
                "b100: p50 <= 40 ms, p99 <= 150 ms", f"{paced.p50_ms}, {paced.p99_ms} ms", reached
            )
        )
    if storm := found.get(("c", tocsin.NAME)):
        rate = storm.accepted_rate
        judged.append(Target("c: 15,000 alerts/s accepted", f"{rate:,.0f}/s", rate >= 15_000))
    ours = [run for (_, system), run in found.items() if system == tocsin.NAME]
    lost = sum(run.lost for run in ours)
    judged.append(Target("nothing acknowledged is lost", f"{lost:,}", lost == 0))
    peak, name = max((run.costs[name].peak_mb, name) for run in ours for name in SERVICES)
    judged.append(Target("a service's peak RSS <= 150 MB", f"{peak:.0f} MB ({name})", peak <= 150))
    return judged


def machine() -> dict[str, str]:
    """What figures mean little without."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    model = next(
        (line.partition(": ")[2] for line in lines if line.startswith("model name")),
        platform.processor(),
    )
    return {
        "at": f"{datetime.now(UTC):%Y-%m-%d %H:%M}Z",
        "cores": str(os.cpu_count()),
        "processor": model,
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load": f"{os.getloadavg()[0]:.1f}",
    }


def save(path: Path, about: dict[str, str], runs: Sequence[Figures]) -> None:
    """Write a file that `load` reads."""
    document = {"about": about, "runs": [asdict(run) for run in runs]}
    path.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2))


def load(path: Path) -> list[Figures]:
    """The runs of a file."""
    runs = orjson.loads(path.read_bytes())["runs"]
    return [
        Figures(**run | {"costs": {name: Cost(**cost) for name, cost in run["costs"].items()}})
        for run in runs
    ]
