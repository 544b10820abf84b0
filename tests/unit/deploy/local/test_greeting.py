"""Whatever `make up` prints to be copied stands on one line, however narrow the terminal."""

import re
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from deploy.local import state
from deploy.local.greeting import greet
from deploy.local.state import Secrets, State

KEY = "tocsin_" + "k" * 60
PORTS = {"intake": 20001, "reporting": 20002, "inbox": 20003}


@pytest.fixture
def narrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The greeting on a terminal of 30 columns."""
    monkeypatch.setattr(state, "SECRETS", tmp_path / "secrets.json")
    Secrets(integration_key=KEY).save()
    output = StringIO()
    greet(Console(file=output, width=30), State(ports=PORTS))
    return output.getvalue()


def test_the_key_and_the_addresses_are_not_wrapped(narrow: str) -> None:
    for value in (KEY, *(f"http://127.0.0.1:{port}" for port in PORTS.values())):
        assert value in narrow


def test_the_first_signal_is_one_line(narrow: str) -> None:
    (command,) = re.findall(r"^curl .*$", narrow, re.MULTILINE)
    assert f"Bearer {KEY}" in command
    assert command.endswith("}}'")


def test_the_next_commands_take_the_number_from_the_list(narrow: str) -> None:
    assert "\n.venv/bin/tocsin incidents list\n" in narrow
    assert "\n.venv/bin/tocsin incidents show INC-NUMBER\n" in narrow
    assert not re.search(r"INC-\d", narrow), "any number may be the canary's"
