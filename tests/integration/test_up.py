"""`tocsin up` as a newcomer meets it: start it, send a signal, read the page, lose the supervisor, start it again."""

import json
import os
import shlex
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.local.postgres import Postgres, lasting_home
from deploy.local.process import birth
from tests.support.stack import until


class Stack:
    """A stack in a folder of its own, used by its command line and its addresses."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        kept = {name: value for name, value in os.environ.items() if not name.startswith("TOCSIN_")}
        self.env = {**kept, "TOCSIN_LOCAL_DIR": str(folder), "COLUMNS": "200"}

    def tocsin(self, *arguments: str, check: bool = True) -> str:
        command = [sys.executable, "-m", "shared.cli", *arguments]
        env = {**self.env, **self.variables}
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0 or not check, f"{arguments}: {done.stdout}{done.stderr}"
        return done.stdout

    @property
    def variables(self) -> dict[str, str]:
        """What `set -a; . .local/env` brings."""
        file = self.folder / "env"
        return dict(word.split("=", 1) for word in shlex.split(file.read_text())) if file.exists() else {}

    @property
    def pids(self) -> dict[str, int]:
        state = json.loads((self.folder / "state.json").read_text())
        supervisor = {"supervisor": state["supervisor"]} if state["supervisor"] else {}
        return {name: record["pid"] for name, record in {**state["processes"], **supervisor}.items()}

    def send_first_signal(self) -> None:
        alert = {"status": "firing", "service": "checkout", "severity": "critical", "summary": "checkout answers 500"}
        event = {"specversion": "1.0", "id": "1", "source": "/first", "type": "tocsin.signals.Alert", "data": alert}
        headers = {
            "Authorization": f"Bearer {self.variables['TOCSIN_INTEGRATION_KEY']}",
            "Content-Type": "application/cloudevents+json",
        }
        url = f"{self.variables['TOCSIN_INTAKE_URL']}/v1/signals"
        with urllib.request.urlopen(urllib.request.Request(url, json.dumps(event).encode(), headers), timeout=10):
            pass

    def read_inbox(self) -> list[dict[str, Any]]:
        with urllib.request.urlopen(f"{self.variables['TOCSIN_INBOX_URL']}/messages", timeout=10) as answer:
            return list(json.loads(answer.read()))


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    stack = Stack(tmp_path / "local")
    yield stack
    stack.tocsin("down", check=False)
    monkeypatch.setattr("deploy.local.postgres.LOCAL", stack.folder)
    server = Postgres(lasting_home(), tmp_path / "log")
    for folder in (server.home, server.socket):
        shutil.rmtree(folder, ignore_errors=True)


def test_a_newcomer_gets_a_page_and_keeps_it_when_the_supervisor_is_killed(stack: Stack) -> None:
    said = stack.tocsin("up", "--detach")
    assert all(stack.variables[name] in said for name in ("TOCSIN_CONSOLE_URL", "TOCSIN_INTEGRATION_KEY"))
    assert "not" not in stack.tocsin("status")

    stack.send_first_signal()
    until(lambda: bool(stack.read_inbox()))
    page = stack.read_inbox()[0]
    assert (page["to"], page["signature"]) == ("/pages/ana", "valid")
    assert "checkout answers 500" in page["subject"]

    before, pids = stack.variables, stack.pids
    assert len(pids) == 8
    os.kill(pids["supervisor"], 9)
    if sys.platform == "linux":
        until(lambda: not any(birth(pid) for pid in pids.values()))

    stack.tocsin("up", "--detach")
    assert stack.variables == before
    until(lambda: "checkout answers 500" in stack.tocsin("incidents", "list"))
    assert "was up already" in stack.tocsin("up")

    pids = stack.pids
    assert "stopped" in stack.tocsin("down")
    assert not any(birth(pid) for pid in pids.values())
