"""The commands of the local stack when it is not running or does not start."""

import json
import re
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deploy.local import cli, state
from deploy.local.process import birth
from deploy.local.state import port_names
from tests.support.local_stack import Stack


def test_the_status_of_a_stack_older_than_a_part_names_that_part(tmp_path: Path) -> None:
    known = {name: 40000 + place for place, name in enumerate(port_names()) if name != "canary"}
    (tmp_path / "state.json").write_text(json.dumps({"ports": known}))

    output = Stack(tmp_path).tocsin("status", code=1)

    assert re.search(r"canary .* not running", output)


def test_a_detached_stack_that_is_not_ready_in_time_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck = tmp_path / "stuck"
    stuck.write_text("#!/bin/sh\necho pid $$\nexec sleep 60\n")
    stuck.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(stuck))
    monkeypatch.setattr(cli, "_START_SECONDS", 2.0)
    monkeypatch.setattr(cli, "LOGS", tmp_path / "logs")
    monkeypatch.setattr(state, "STATE", tmp_path / "state.json")

    result = CliRunner().invoke(cli.app, ["up", "--detach"])

    assert result.exit_code == 1
    found = re.search(r"not ready within 2 s\s+pid (\d+)", result.output)
    assert found, result.output
    assert birth(int(found[1])) is None
