"""What squawk says of a migration."""

import re
import subprocess
import sys
from pathlib import Path

from shared.postgres.migrate import OUTSIDE
from tests.support.version import THIS

_WAIVER = re.compile(r"-- squawk-ignore(-file)?\b")
_REASON = re.compile(r"-- (?!squawk-ignore)\S+ \S+")


def squawk(path: Path) -> str:
    """What squawk finds in a file; empty if nothing."""
    outside = path.read_text().startswith(OUTSIDE)
    command = [str(Path(sys.executable).with_name("squawk")), "--reporter", "gcc"]
    command += ["--no-assume-in-transaction"] if outside else []
    done = subprocess.run(
        [*command, "--config", str(THIS.folder / ".squawk.toml"), str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == bool(done.stdout.strip()), done.stderr
    return done.stdout.strip()


def unexplained_waivers(path: Path) -> list[int]:
    """Numbers of the lines with a waiver and no reason in the line above."""
    lines = path.read_text().splitlines()
    return [
        number
        for number, line in enumerate(lines, 1)
        if _WAIVER.match(line) and not (number > 1 and _REASON.match(lines[number - 2]))
    ]
