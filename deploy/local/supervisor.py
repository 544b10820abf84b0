"""Keeps the parts of the stack running: starts them again when they end, and stops them all in the
right order.
"""

import contextlib
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from deploy.local.process import end_leftover
from deploy.local.state import Record, State

_LONGEST_PAUSE_SECONDS = 30.0
_STEADY_SECONDS = 60.0
_TOLD_SECONDS = 1.0  # what ends well before that has a fault all the same
_LOOK_SECONDS = 0.25

Say = Callable[[str], None]


class Part(Protocol):
    """Kafka, PostgreSQL, the inbox or a service."""

    @property
    def name(self) -> str: ...
    @property
    def port(self) -> int | None: ...
    @property
    def stop_signal(self) -> int: ...
    @property
    def process(self) -> subprocess.Popen[bytes] | None: ...
    @property
    def log(self) -> Path: ...
    def start(self) -> subprocess.Popen[bytes]: ...
    def stop(self) -> None: ...
    def problem(self) -> str | None: ...


@dataclass
class _Watched:
    part: Part
    started: float
    failures: int = 0
    due: float | None = None  # when to start it again


class Supervisor:
    """Used from the main thread alone: on Linux its children end with that thread."""

    def __init__(self, state: State, say: Say) -> None:
        self._state, self._say = state, say
        self._watched: list[_Watched] = []

    def start(self, part: Part) -> None:
        """Start a part and watch it from here on; parts are stopped in the reverse order.
        RuntimeError if it fails.
        """
        self._watched.append(_Watched(part, time.monotonic()))
        self._run(part)

    def wait_ready(self, parts: list[Part], seconds: float) -> None:
        """Return when all are ready. RuntimeError when one ends, or is not ready in time, with the
        end of its log.
        """
        deadline = time.monotonic() + seconds
        for part in parts:
            while problem := part.problem():
                if part.process and part.process.poll() is not None:
                    raise RuntimeError(f"{part.name} ended while it was starting\n{tail(part.log)}")
                if time.monotonic() > deadline:
                    raise RuntimeError(f"{part.name} {problem}\n{tail(part.log)}")
                time.sleep(0.1)

    def watch(self) -> None:
        """Look after the parts until interrupted."""
        while True:
            self.look()
            time.sleep(_LOOK_SECONDS)

    def look(self) -> None:
        """Start again what has ended, each at its time."""
        for watched in self._watched:
            self._look(watched, time.monotonic())

    def rest(self, name: str, seconds: float) -> None:
        """Stop a part, and start it again after that time."""
        watched = self._find(name)
        watched.part.stop()
        watched.due = time.monotonic() + seconds

    def end(self, name: str) -> None:
        """Stop a part and watch it no longer."""
        watched = self._find(name)
        watched.part.stop()
        self._watched.remove(watched)
        self._state.processes.pop(name, None)

    def stop(self) -> None:
        """Stop all: first what uses Kafka and PostgreSQL, then these."""
        users = [
            watched.part
            for watched in self._watched
            if watched.part.name not in ("kafka", "postgres")
        ]
        for part in users:  # together: they need not wait for each other
            if part.process and part.process.poll() is None:
                part.process.send_signal(part.stop_signal)
        for watched in reversed(self._watched):
            watched.part.stop()
            self._state.processes.pop(watched.part.name, None)

    def _find(self, name: str) -> _Watched:
        return next(watched for watched in self._watched if watched.part.name == name)

    def _look(self, watched: _Watched, now: float) -> None:
        part = watched.part
        if watched.due is None:
            code = part.process.poll() if part.process else None
            if code is None:
                return
            lasted = now - watched.started
            if code in (0, -part.stop_signal, 128 + part.stop_signal) and lasted > _TOLD_SECONDS:
                watched.due = now  # it was told to, by `tocsin restart`
            else:
                failures = 1 if lasted > _STEADY_SECONDS else watched.failures + 1
                self._pause(watched, f"ended ({code})", failures, now)
        elif now >= watched.due:
            watched.due, watched.started = None, now
            try:
                self._run(part)
                self._say(f"{part.name} was started again")
            except (RuntimeError, OSError) as error:
                self._pause(watched, f"could not be started: {error}", watched.failures + 1, now)

    def _pause(self, watched: _Watched, what: str, failures: int, now: float) -> None:
        pause = min(_LONGEST_PAUSE_SECONDS, 0.5 * 2 ** (failures - 1))
        watched.failures, watched.due = failures, now + pause
        self._say(
            f"{watched.part.name} {what}; starting it again in {pause:g} s. Its log: {watched.part.log}"
        )

    def _run(self, part: Part) -> None:
        process = part.start()
        if record := Record.of(process.pid, part.stop_signal):
            self._state.processes[part.name] = record
            self._state.save()


def end_leftovers(state: State) -> list[str]:
    """End what an earlier supervisor of this checkout, itself gone, left running. Names of the
    parts ended.
    """
    ended = [
        name
        for name, record in reversed(state.processes.items())
        if end_leftover(record.pid, record.born, record.stop_signal)
    ]
    state.processes.clear()
    return ended


def tail(log: Path, lines: int = 8) -> str:
    """The end of a log, to show beside an error."""
    with contextlib.suppress(OSError):
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
    return ""
