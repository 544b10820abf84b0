"""What processes cost: CPU seconds and peak resident memory, from /proc. Empty where there is none."""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one process with its children. Shared memory is counted once."""

    cpu_seconds: float
    peak_mb: float


def costs(
    groups: Mapping[str, Iterable[int]], since: Mapping[str, Cost] | None = None
) -> dict[str, Cost]:
    """For each name what its processes have taken, since an earlier answer of this function or in
    all.
    """
    found = {name: _tree(pids) for name, pids in groups.items()}
    if since is None:
        return found
    return {
        name: Cost(round(c.cpu_seconds - since[name].cpu_seconds, 2), c.peak_mb)
        for name, c in found.items()
    }


def children(pid: int, command: str) -> list[int]:
    """Children of a process whose command line contains the word."""
    return [child for child in _children(pid) if command in _text(child, "cmdline")]


def _tree(pids: Iterable[int]) -> Cost:
    everyone = [member for pid in pids for member in (pid, *_descendants(pid))]
    shared = max((_status(pid, "RssShmem") for pid in everyone), default=0)
    # A process on its own has had a peak; of a family the parts that are shared are not to be
    # counted again.
    peak = (
        _status(everyone[0], "VmHWM")
        if len(everyone) == 1
        else shared + sum(_status(p, "RssAnon") for p in everyone)
    )
    return Cost(sum(map(_cpu, everyone)), round(peak / 1024, 1))


def _descendants(pid: int) -> Iterator[int]:
    for child in _children(pid):
        yield child
        yield from _descendants(child)


def _children(pid: int) -> list[int]:
    try:
        return [
            int(c)
            for t in Path(f"/proc/{pid}/task").iterdir()
            for c in (t / "children").read_text().split()
        ]
    except OSError:
        return []


def _cpu(pid: int) -> float:
    fields = _text(pid, "stat").rpartition(")")[2].split()
    # its own, in user and in kernel mode, and that of children which have ended
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
