"""The baseline: another commit, installed beside this checkout from its own requirements files."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.support.version import THIS, Version

BASELINES = THIS.folder / ".cache" / "baselines"
_STAMP = ".venv/.local"
"""The file that `make` makes last: the environment is complete."""


class NoBaseline(Exception):
    """A commit cannot be measured. The message is one line that names the commit."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """A commit by its full hash, and where it is installed."""

    commit: str
    version: Version

    @property
    def name(self) -> str:
        """Its name in the figures."""
        return f"tocsin {self.commit[:7]}"


def install(commit: str, say: Callable[[str], None], baselines: Path = BASELINES) -> Baseline:
    """Install a commit, or use what an earlier call has installed. Raises NoBaseline."""
    full = find_commit(commit)
    python = ".".join(map(str, sys.version_info[:3]))
    folder = baselines / f"{full[:12]}-python{python}"
    if not folder.exists():
        say(f"unpacking {commit} into {folder}")
        _unpack(full, folder)
    if not (folder / _STAMP).exists():
        say(f"making the environment of {commit}")
    _make_environment(commit, folder)
    return Baseline(full, Version(folder, folder / ".venv" / "bin" / "tocsin"))


def find_commit(commit: str) -> str:
    """The full hash of a commit. Raises NoBaseline when this repository does not have it."""
    wanted = f"{commit}^{{commit}}"
    found = _git("rev-parse", "--verify", "--quiet", "--end-of-options", wanted)
    if found.returncode:
        raise NoBaseline(f"this repository has no commit `{commit}`")
    return found.stdout.strip()


def current_commit() -> str:
    """The commit of this checkout; `-dirty` says that files differ from it."""
    return _git("describe", "--always", "--dirty", "--exclude", "*").stdout.strip() or "unknown"


def _git(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["git", "-C", str(THIS.folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _unpack(commit: str, folder: Path) -> None:
    """Put the commit's files into the folder, in one step: it is either complete or not there."""
    half = folder.with_name(f"{folder.name}.half")
    shutil.rmtree(half, ignore_errors=True)
    half.mkdir(parents=True)
    archive = half.with_suffix(".tar")
    try:
        done = _git("archive", "--format=tar", f"--output={archive}", commit)
        if done.returncode:
            raise NoBaseline(f"commit {commit} cannot be unpacked: {_last_line(done.stderr)}")
        shutil.unpack_archive(archive, half)
        half.rename(folder)
    finally:
        archive.unlink(missing_ok=True)
        shutil.rmtree(half, ignore_errors=True)


def _make_environment(commit: str, folder: Path) -> None:
    """Let the commit's own Makefile do it. An environment that is complete takes no time."""
    command = ["make", "--silent", f"PYTHON={sys.executable}", _STAMP]
    if subprocess.run(command, cwd=folder, env=_without_make(), check=False).returncode:
        raise NoBaseline(f"the environment of commit {commit} cannot be made: see above")


def _without_make() -> dict[str, str]:
    """The environment without the options of a `make` that has started this process."""
    own = ("MAKE", "MFLAGS")
    return {name: text for name, text in os.environ.items() if not name.startswith(own)}


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["git does not say why"])[-1]
