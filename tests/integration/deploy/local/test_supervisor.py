"""The supervisor of the local stack, with parts that a test can kill."""

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy.local import state
from deploy.local.process import birth, spawn, stop
from deploy.local.state import State
from deploy.local.supervisor import Supervisor, end_leftovers
from tests.support.stack import until


class Sleeper:
    """A part that runs until it is stopped, or for a given time."""

    port = None
    stop_signal = signal.SIGTERM

    def __init__(
        self, name: str, folder: Path, seconds: str = "60", stopped: list[str] | None = None
    ) -> None:
        self.name, self.log, self.seconds = name, folder / f"{name}.log", seconds
        self.process: subprocess.Popen[bytes] | None = None
        self.starts = 0
        self.stopped = stopped if stopped is not None else []

    def start(self) -> subprocess.Popen[bytes]:
        self.starts += 1
        self.process = spawn(
            ["sh", "-c", f"echo start {self.starts}; exec sleep {self.seconds}"], self.log
        )
        return self.process

    def stop(self) -> None:
        if self.process:
            stop(self.process, self.stop_signal, 5)
            self.stopped.append(self.name)

    def problem(self) -> str | None:
        return "does not answer"


@pytest.fixture(autouse=True)
def local_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(state, "STATE", tmp_path / "state.json")
    return tmp_path


def check_until(watched: Supervisor, enough: Callable[[], bool]) -> None:
    def check() -> bool:
        watched.check()
        return enough()

    until(check)


@contextmanager
def watching(part: Sleeper) -> Iterator[tuple[Supervisor, list[str]]]:
    """A supervisor of this part, and its reports."""
    reported: list[str] = []
    watched = Supervisor(State(), reported.append)
    watched.start(part)
    try:
        yield watched, reported
    finally:
        watched.stop()


def test_a_part_that_ends_is_restarted_and_this_is_reported(local_dir: Path) -> None:
    triage = Sleeper("triage", local_dir)
    with watching(triage) as (watched, reported):
        assert triage.process
        triage.process.kill()

        check_until(watched, lambda: triage.starts == 2)

        assert triage.process.poll() is None
    assert reported[0].startswith("triage ended (-9); restarting it in 0.5 s")


def test_pauses_grow_for_a_part_that_ends_repeatedly(local_dir: Path) -> None:
    with watching(Sleeper("triage", local_dir, seconds="an invalid duration")) as (
        watched,
        reported,
    ):
        check_until(watched, lambda: sum("restarting it" in line for line in reported) == 3)

    pauses = [line.split(" in ")[1].split(" s.")[0] for line in reported if "restarting it" in line]
    assert pauses == ["0.5", "1", "2"]


def test_a_part_that_was_asked_to_end_is_restarted_at_once(local_dir: Path) -> None:
    triage = Sleeper("triage", local_dir)
    with watching(triage) as (watched, reported):
        assert triage.process
        lasted = time.monotonic() + 1.1
        check_until(watched, lambda: time.monotonic() > lasted)
        stop(triage.process, signal.SIGTERM, 5)

        check_until(watched, lambda: triage.starts == 2)
    assert reported == ["triage was restarted"]


def test_services_are_stopped_before_what_they_use(local_dir: Path) -> None:
    stopped: list[str] = []
    watched = Supervisor(State(), lambda line: None)
    for name in ("kafka", "postgres", "intake", "triage"):
        watched.start(Sleeper(name, local_dir, stopped=stopped))

    watched.stop()

    assert stopped == ["triage", "intake", "postgres", "kafka"]


def test_a_part_that_ends_while_starting_is_reported_with_the_end_of_its_log(
    local_dir: Path,
) -> None:
    triage = Sleeper("triage", local_dir, seconds="0")
    watched = Supervisor(State(), lambda line: None)
    watched.start(triage)

    with pytest.raises(RuntimeError, match=r"(?s)triage ended while it was starting.*start 1"):
        watched.wait_ready([triage], seconds=10)


def test_the_next_start_ends_what_a_killed_supervisor_left(local_dir: Path) -> None:
    intake = Sleeper("intake", local_dir)
    Supervisor(State(), lambda line: None).start(intake)
    assert intake.process
    threading.Thread(
        target=intake.process.wait, daemon=True
    ).start()  # without a wait it would stay as a zombie
    remembered = State.load()

    assert end_leftovers(remembered) == ["intake"]

    until(lambda: intake.process is not None and birth(intake.process.pid) is None)
    assert end_leftovers(State.load()) == []


def test_only_one_supervisor_runs_in_a_folder(
    local_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "LOCAL", local_dir)
    other = (
        "from deploy.local.state import only_supervisor\n"
        "with only_supervisor(): print('in', flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", other],
        env={"TOCSIN_LOCAL_DIR": str(local_dir)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as first:
        assert first.stdout
        assert first.stdout.readline() == "in\n"
        with pytest.raises(state.AlreadyUp), state.only_supervisor():
            pass
        first.kill()
    with state.only_supervisor():
        pass


def test_secrets_are_kept_and_readable_by_the_user_only(
    local_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "SECRETS", local_dir / "secrets.json")
    made = state.Secrets.load()
    made.save()

    assert state.Secrets.load() == made
    assert (local_dir / "secrets.json").stat().st_mode & 0o777 == 0o600
    assert json.loads((local_dir / "secrets.json").read_text())["webhook_secret"].startswith(
        "whsec_"
    )
