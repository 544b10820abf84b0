"""Commands and processes of the rehearsal."""

import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from deploy.local.polling import wait_for

T = TypeVar("T")


class Failed(Exception):
    """A step of the rehearsal did not succeed; the text says what was seen."""


def run(*command: str | Path, stdin: str = "", env: Mapping[str, str] | None = None) -> str:
    """What a command writes to standard output. Raises Failed with all that it wrote."""
    done = subprocess.run(
        command, input=stdin, env=env, capture_output=True, text=True, check=False
    )
    if done.returncode:
        words = " ".join(map(str, command))
        raise Failed(f"{words}: exit status {done.returncode}\n{done.stdout}{done.stderr}".strip())
    return done.stdout


def until(what: str, check: Callable[[], T], seconds: float, every: float = 0.25) -> T:
    """The first truthy result of `check`. Raises Failed with the last thing that was wrong."""
    seen = ""

    def attempt() -> T | None:
        nonlocal seen
        try:
            return check()
        except Failed as failure:
            seen = f": {failure}"
            return None

    if found := wait_for(attempt, seconds, every):
        return found
    raise Failed(f"not within {seconds:g} s: {what}{seen}")
