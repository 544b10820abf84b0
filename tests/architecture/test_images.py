"""An image holds `shared` and one service: it runs without the others and has only its commands."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.tree import ROOT, services


@pytest.mark.parametrize("service", services())
def test_a_service_stands_alone(service: str, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "shared", tmp_path / "shared")
    (tmp_path / "services").mkdir()
    shutil.copy(ROOT / "services" / "__init__.py", tmp_path / "services")
    shutil.copytree(ROOT / "services" / service, tmp_path / "services" / service)
    (tmp_path / "deploy").mkdir()  # hides the checkout's own
    (tmp_path / "deploy" / "__init__.py").touch()
    environment = os.environ | {"PYTHONPATH": str(tmp_path), "COLUMNS": "200"}

    def run(*arguments: str) -> str:
        command = [sys.executable, *arguments]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    commands = run(
        "-c",
        f"import services.{service}.app; from shared.runtime.cli import main; main()",
        "--help",
    )
    assert service in commands
    others = [name for name in services() if name != service and f" {name} " in commands]
    assert others == []
    assert "serve" in run("-m", "shared.runtime.cli", service, "--help")
