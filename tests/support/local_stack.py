"""A local stack in its own folder, used as a newcomer does: by its commands and addresses."""

import json
import os
import shlex
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from deploy.local.paths import CHECKOUT
from deploy.local.postgres import Postgres, lasting_home


class Stack:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        kept = {name: value for name, value in os.environ.items() if not name.startswith("TOCSIN_")}
        self.env = {**kept, "TOCSIN_LOCAL_DIR": str(folder), "COLUMNS": "200"}

    def shell(self, commands: str) -> str:
        """What commands print, run in the checkout. The last one must succeed."""
        finished = subprocess.run(
            ["bash", "-c", commands],
            cwd=CHECKOUT,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert finished.returncode == 0, f"{finished.stdout}{finished.stderr}"
        return finished.stdout

    def tocsin(self, *arguments: str, code: int | None = 0) -> str:
        """What a command prints. It must exit with `code`; None accepts any. It finds the stack
        by itself.
        """
        command = [sys.executable, "-m", "shared.runtime.cli", *arguments]
        finished = subprocess.run(
            command, env=self.env, capture_output=True, text=True, timeout=300, check=False
        )
        assert code in (None, finished.returncode), (
            f"{arguments}: {finished.stdout}{finished.stderr}"
        )
        return finished.stdout

    @property
    def variables(self) -> dict[str, str]:
        """The variables of `.local/env`."""
        file = self.folder / "env"
        return (
            dict(word.split("=", 1) for word in shlex.split(file.read_text()))
            if file.exists()
            else {}
        )

    @property
    def pids(self) -> dict[str, int]:
        state = json.loads((self.folder / "state.json").read_text())
        supervisor = {"supervisor": state["supervisor"]} if state["supervisor"] else {}
        return {
            name: record["pid"] for name, record in {**state["processes"], **supervisor}.items()
        }

    def send_first_signal(self) -> None:
        alert = {
            "status": "firing",
            "service": "checkout",
            "severity": "critical",
            "summary": "checkout answers 500",
        }
        event = {
            "specversion": "1.0",
            "id": "1",
            "source": "/first",
            "type": "tocsin.signals.Alert",
            "data": alert,
        }
        headers = {
            "Authorization": f"Bearer {self.variables['TOCSIN_INTEGRATION_KEY']}",
            "Content-Type": "application/cloudevents+json",
        }
        url = f"{self.variables['TOCSIN_INTAKE_URL']}/v1/signals"
        with urllib.request.urlopen(
            urllib.request.Request(url, json.dumps(event).encode(), headers), timeout=10
        ):
            pass

    def read_inbox(self) -> list[dict[str, Any]]:
        with urllib.request.urlopen(
            f"{self.variables['TOCSIN_INBOX_URL']}/messages", timeout=10
        ) as answer:
            return list(json.loads(answer.read()))


@contextmanager
def own_stack(folder: Path) -> Iterator[Stack]:
    """A stack that was never started; it is stopped and removed after the block."""
    stack = Stack(folder / "local")
    try:
        yield stack
    finally:
        stack.tocsin("down", code=None)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("deploy.local.postgres.LOCAL", stack.folder)
            server = Postgres(lasting_home(), folder / "log")
        for home in (server.home, server.socket):
            shutil.rmtree(home, ignore_errors=True)
