"""Child processes end with their parent, and no other process is ended."""

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from deploy.local.process import birth, end_leftover, spawn, stop
from tests.support.stack import until


@pytest.mark.skipif(
    sys.platform != "linux",
    reason="only Linux signals the death of a parent; elsewhere the next start ends the child",
)
def test_a_child_ends_with_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from deploy.local.process import spawn\n"
        f"print(spawn(['sleep', '60'], Path({str(tmp_path / 'log')!r})).pid, flush=True)\n"
        "time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True
    ) as supervisor:
        assert supervisor.stdout
        child = int(supervisor.stdout.readline())
        assert birth(child)

        supervisor.kill()

    until(lambda: birth(child) is None)


def test_a_leftover_is_ended_even_if_it_ignores_the_first_signal(tmp_path: Path) -> None:
    stubborn = spawn(
        ["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.1; done"], tmp_path / "log"
    )
    until(lambda: "ready" in (tmp_path / "log").read_text())
    born = birth(stubborn.pid)
    assert born

    threading.Thread(
        target=stubborn.wait, daemon=True
    ).start()  # without a wait it would stay as a zombie
    assert end_leftover(stubborn.pid, born, signal.SIGTERM, patience_seconds=0.3)

    assert birth(stubborn.pid) != born


def test_another_process_with_a_recorded_pid_is_left_alone(tmp_path: Path) -> None:
    stranger = spawn(["sleep", "60"], tmp_path / "log")
    try:
        assert not end_leftover(stranger.pid, "born at another time", signal.SIGTERM)
        assert stranger.poll() is None
    finally:
        stop(stranger, signal.SIGTERM, 5)
