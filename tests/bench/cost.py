"""The CPU seconds and the peak memory of processes, from /proc. Zero where there is no /proc."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of processes with their children. Memory that they share is counted once."""

    cpu_seconds: float
    peak_mb: float


def costs(groups: Mapping[str, Iterable[int]]) -> dict[str, Cost]:
    """For each name, the cost of its processes since they started."""
    return {name: _tree(pids) for name, pids in groups.items()}


def costs_since(groups: Mapping[str, Iterable[int]], before: Mapping[str, Cost]) -> dict[str, Cost]:
    """The same since `costs` gave `before`. Peaks are still those since the start."""
    return {
        name: Cost(round(cost.cpu_seconds - before[name].cpu_seconds, 2), cost.peak_mb)
        for name, cost in costs(groups).items()
    }


def children(pid: int, command: str) -> list[int]:
    """Children of a process whose command line contains the word."""
    return [child for child in _children(pid) if command in _text(child, "cmdline")]


def _tree(pids: Iterable[int]) -> Cost:
    everyone = [member for pid in pids for member in (pid, *_descendants(pid))]
    return Cost(sum(map(_cpu, everyone)), round(_memory(everyone) / 1024, 1))


def _memory(pids: Sequence[int]) -> int:
    """The peak of one process, in KiB; of several what they have now, the shared part once."""
    if len(pids) == 1:
        return _status(pids[0], "VmHWM")
    shared = max((_status(pid, "RssShmem") for pid in pids), default=0)
    return shared + sum(_status(pid, "RssAnon") for pid in pids)


def _descendants(pid: int) -> Iterator[int]:
    for child in _children(pid):
        yield child
        yield from _descendants(child)


def _children(pid: int) -> list[int]:
    try:
        threads = [thread / "children" for thread in Path(f"/proc/{pid}/task").iterdir()]
        return [int(child) for file in threads for child in file.read_text().split()]
    except OSError:
        return []


def _cpu(pid: int) -> float:
    fields = _text(pid, "stat").rpartition(")")[2].split()
    # In user and in kernel mode: its own and that of its children that have ended.
    return sum(map(int, fields[11:15])) / _TICK if fields else 0.0


def _status(pid: int, name: str) -> int:
    """A size in KiB."""
    lines = (line.split() for line in _text(pid, "status").splitlines())
    return next((int(line[1]) for line in lines if line[0] == f"{name}:"), 0)


def _text(pid: int, file: str) -> str:
    try:
        return Path(f"/proc/{pid}/{file}").read_text()
    except OSError:
        return ""
