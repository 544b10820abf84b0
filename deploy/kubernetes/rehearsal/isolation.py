"""Namespaces of its own for the cluster: all that runs, is mounted or is routed there ends with the
command that started it. What Linux has only once is put back here.
"""

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

_KERNEL = (
    *("vm.overcommit_memory", "kernel.panic", "kernel.panic_on_oops"),
    *("kernel.keys.root_maxkeys", "kernel.keys.root_maxbytes"),
)
"""What a kubelet changes."""
_LEAVING_SECONDS = 10


def run_isolated(command: Sequence[str]) -> int:
    """Run a command in new network, mount and process namespaces; its exit status.

    When it ends, or this process does, the kernel kills all that it started.
    """
    with _kernel_settings_kept(), _cgroups_removed():
        process = subprocess.Popen(
            [
                *("unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc"),
                *("--kill-child", *command),
            ]
        )
        try:
            return process.wait()
        finally:
            process.kill()
            process.wait()


@contextmanager
def _kernel_settings_kept() -> Iterator[None]:
    files = [Path("/proc/sys", *name.split(".")) for name in _KERNEL]
    before = {file: file.read_text() for file in files if file.exists()}
    try:
        yield
    finally:
        for file, value in before.items():
            if file.read_text() != value:
                file.write_text(value)


@contextmanager
def _cgroups_removed() -> Iterator[None]:
    try:
        yield
    finally:
        for top in Path("/sys/fs/cgroup").glob("*/kubepods"):
            for folder, _, _ in os.walk(top, topdown=False):
                _remove(folder)


def _remove(folder: str) -> None:
    """A cgroup, as soon as the last process has left it."""
    deadline = monotonic() + _LEAVING_SECONDS
    while True:
        try:
            return os.rmdir(folder)
        except OSError:
            if monotonic() > deadline:
                raise
            sleep(0.1)
