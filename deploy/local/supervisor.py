"""Keeps the parts of the stack running: restarts those that end, stops all in the right order."""

import contextlib
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from deploy.local.polling import wait_for
from deploy.local.process import end_leftover
from deploy.local.state import ProcessRecord, State

_MAX_PAUSE_SECONDS = 30.0
_STABLE_SECONDS = 60.0
_MIN_LIFETIME_SECONDS = 1.0  # a part that ends sooner has failed, whatever its exit status
_POLL_SECONDS = 0.25

Report = Callable[[str], None]


class Part(Protocol):
    """Kafka, PostgreSQL, the inbox, the canary or a service."""

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
    due: float | None = None  # when to restart it


class Supervisor:
    """To be used from the main thread only: on Linux its children end with the thread that started
    them.
    """

    def __init__(self, state: State, report: Report) -> None:
        self._state, self._report = state, report
        self._watched: list[_Watched] = []

    def start(self, part: Part) -> None:
        """Start a part and supervise it; parts are stopped in reverse order. RuntimeError if it
        fails.
        """
        self._watched.append(_Watched(part, time.monotonic()))
        self._run(part)

    def wait_ready(self, parts: list[Part], seconds: float) -> None:
        """Return when all are ready. RuntimeError, with the end of its log, when one ends or is not
        ready in time.
        """
        deadline = time.monotonic() + seconds
        for part in parts:
            left = deadline - time.monotonic()
            if not wait_for(partial(_is_ready, part), left) and (problem := part.problem()):
                raise RuntimeError(f"{part.name} {problem}\n{tail(part.log)}")

    def watch(self) -> None:
        """Supervise the parts until interrupted."""
        while True:
            self.check()
            time.sleep(_POLL_SECONDS)

    def check(self) -> None:
        """Restart parts that have ended, each when it is due."""
        for watched in self._watched:
            self._check(watched, time.monotonic())

    def suspend(self, name: str, seconds: float) -> None:
        """Stop a part and restart it after `seconds`."""
        watched = self._find(name)
        watched.part.stop()
        watched.due = time.monotonic() + seconds

    def remove(self, name: str) -> None:
        """Stop a part and no longer supervise it."""
        watched = self._find(name)
        watched.part.stop()
        self._watched.remove(watched)
        self._state.processes.pop(name, None)

    def stop(self) -> None:
        """Stop all: first the parts that use Kafka and PostgreSQL, then these two."""
        users = [
            watched.part
            for watched in self._watched
            if watched.part.name not in ("kafka", "postgres")
        ]
        for part in users:  # at the same time: they do not depend on each other
            if part.process and part.process.poll() is None:
                part.process.send_signal(part.stop_signal)
        for watched in reversed(self._watched):
            watched.part.stop()
            self._state.processes.pop(watched.part.name, None)

    def _find(self, name: str) -> _Watched:
        return next(watched for watched in self._watched if watched.part.name == name)

    def _check(self, watched: _Watched, now: float) -> None:
        part = watched.part
        if watched.due is None:
            code = part.process.poll() if part.process else None
            if code is None:
                return
            lasted = now - watched.started
            if (
                code in (0, -part.stop_signal, 128 + part.stop_signal)
                and lasted > _MIN_LIFETIME_SECONDS
            ):
                watched.due = now  # it was asked to, by `tocsin restart`
            else:
                failures = 1 if lasted > _STABLE_SECONDS else watched.failures + 1
                self._pause(watched, f"ended ({code})", failures, now)
        elif now >= watched.due:
            watched.due, watched.started = None, now
            try:
                self._run(part)
                self._report(f"{part.name} was restarted")
            except (RuntimeError, OSError) as error:
                self._pause(watched, f"could not be started: {error}", watched.failures + 1, now)

    def _pause(self, watched: _Watched, what: str, failures: int, now: float) -> None:
        pause = min(_MAX_PAUSE_SECONDS, 0.5 * 2 ** (failures - 1))
        watched.failures, watched.due = failures, now + pause
        self._report(
            f"{watched.part.name} {what}; restarting it in {pause:g} s. Its log: {watched.part.log}"
        )

    def _run(self, part: Part) -> None:
        process = part.start()
        if record := ProcessRecord.of(process.pid, part.stop_signal):
            self._state.processes[part.name] = record
            self._state.save()


def end_leftovers(state: State) -> list[str]:
    """End processes that an earlier supervisor of this checkout left running. Returns the names of
    the parts.
    """
    ended = [
        name
        for name, record in reversed(state.processes.items())
        if end_leftover(record.pid, record.born, record.stop_signal)
    ]
    state.processes.clear()
    return ended


def _is_ready(part: Part) -> bool:
    """Raises RuntimeError, with the end of its log, when it has ended."""
    if part.problem() is None:
        return True
    if part.process and part.process.poll() is not None:
        raise RuntimeError(f"{part.name} ended while it was starting\n{tail(part.log)}")
    return False


def tail(log: Path, lines: int = 8) -> str:
    """The last lines of a log, to be shown with an error."""
    with contextlib.suppress(OSError):
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
    return ""
