"""A sampler of CPU time. Python imports it by itself if PYTHONPATH names this folder.

It takes a sample every 5 ms of CPU time, except while modules are imported. When the process ends,
it writes a JSON file into the folder SAMPLES: how often each function ran (`leaves`), and how often
it was on the stack (`stacks`).
"""

import atexit
import json
import os
import signal
import sys
from collections import Counter
from pathlib import Path
from types import CodeType, FrameType

_SECONDS = 0.005
_IMPORTING = "<frozen importlib._bootstrap>"


def _sample(folder: Path) -> None:
    leaves: Counter[CodeType] = Counter()
    stacks: Counter[CodeType] = Counter()

    def take(_: int, frame: FrameType | None) -> None:
        stack = []
        while frame:
            stack.append(frame.f_code)
            frame = frame.f_back
        if not any(code.co_filename == _IMPORTING for code in stack):
            leaves.update(stack[:1])
            stacks.update(set(stack))

    def write() -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)
        found = {"leaves": _named(leaves), "stacks": _named(stacks)}
        name = "-".join(sys.argv[1:2]) or "python"
        (folder / f"{name}-{os.getpid()}.json").write_text(json.dumps(found))

    atexit.register(write)
    signal.signal(signal.SIGPROF, take)
    signal.setitimer(signal.ITIMER_PROF, _SECONDS, _SECONDS)


def _named(codes: Counter[CodeType]) -> Counter[str]:
    named: Counter[str] = Counter()
    for code, count in codes.items():
        named[f"{_place(code.co_filename)} {code.co_qualname}"] += count
    return named


def _place(file: str) -> str:
    """A path in the checkout, in which the process runs; of other files the last two parts."""
    path = Path(file)
    own = path.is_relative_to(Path.cwd()) and "site-packages" not in path.parts
    return str(path.relative_to(Path.cwd())) if own else f"{path.parent.name}/{path.name}"


if "SAMPLES" in os.environ:
    _sample(Path(os.environ["SAMPLES"]))
