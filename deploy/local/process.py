"""Child processes that never outlive this one: start, identify and stop them."""

import ctypes
import os
import pwd
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from deploy.local.polling import wait_for

LOG_LIMIT = 10_000_000
_PR_SET_PDEATHSIG = 1


def spawn(
    argv: Sequence[str | Path],
    log: Path,
    *,
    env: Mapping[str, str] | None = None,
    user: str | None = None,
    on_parent_death: signal.Signals = signal.SIGKILL,
    keep: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start a child in a session of its own. It appends its output to `log` and inherits the
    descriptors `keep`.

    Call it from the main thread: on Linux the child gets `on_parent_death` when the thread that
    started it ends.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists() and log.stat().st_size > LOG_LIMIT:
        log.replace(log.with_suffix(".log.1"))
    with log.open("ab") as output:
        return subprocess.Popen(
            [str(part) for part in argv],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=None if env is None else dict(env),
            start_new_session=True,
            pass_fds=keep,
            preexec_fn=_die_with_parent(on_parent_death),
            **as_user(user),
        )


def as_user(user: str | None) -> dict[str, Any]:
    """Options for `subprocess` to run as another user with only its group; None: as this one."""
    if user is None:
        return {}
    return {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}


def _die_with_parent(number: signal.Signals) -> Callable[[], None] | None:
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl
    parent = os.getpid()

    def arm() -> None:
        prctl(_PR_SET_PDEATHSIG, int(number))
        if os.getppid() != parent:  # the parent died before the signal was armed
            os._exit(1)

    return arm


def stop(process: subprocess.Popen[bytes], first: int, patience_seconds: float) -> None:
    """Send `first`, wait, then send SIGKILL. Returns when the process has ended."""
    if process.poll() is None:
        process.send_signal(first)
    try:
        process.wait(patience_seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def birth(pid: int) -> str | None:
    """A mark that distinguishes this process from a later one with the same pid; None when there is
    no such process.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return None if fields[0] == "Z" else f"{_boot()}:{fields[19]}"
    except OSError:
        if Path("/proc/self/stat").exists():
            return None
    started = subprocess.run(
        ["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return started.stdout.strip() or None


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def end_leftover(pid: int, born: str, first: int, patience_seconds: float = 10) -> bool:
    """End a process of an earlier run, if the pid is still that process. Returns whether it was."""
    if birth(pid) != born:
        return False
    for number in (first, signal.SIGKILL):
        os.kill(pid, number)
        if wait_for(lambda: birth(pid) != born, patience_seconds):
            break
    return True
