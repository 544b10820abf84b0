"""compose.yaml starts from nothing, and the canary's round passes through all four services."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import stack
from tests.support.containers import KAFKA_IMAGE, POSTGRES_IMAGE, need_docker
from tests.support.running import SECRET, SERVICES
from tests.support.version import THIS

PROJECT = "tocsin-under-test"
_SETTINGS = {
    "TOCSIN_KAFKA_IMAGE": KAFKA_IMAGE,
    "TOCSIN_POSTGRES_IMAGE": POSTGRES_IMAGE,
    "TOCSIN_SECRET_KEY": "a key of thirty-two bytes or more for tests",
    "TOCSIN_API_TOKEN": "the-token-of-the-tests",
    "TOCSIN_WEBHOOK_SECRET": SECRET,
}
# So that it can run beside a laptop's Tocsin.
_NOTHING_PUBLISHED = "services:\n" + "".join(
    f"  {name}: {{ports: !reset []}}\n" for name in ("kafka", "intake", "escalation", "reporting")
)


class Compose:
    """`docker compose` for a project of its own."""

    def __init__(self, folder: Path) -> None:
        override = folder / "override.yaml"
        override.write_text(_NOTHING_PUBLISHED)
        files = (THIS.folder / "deploy" / "compose" / "compose.yaml", override)
        self._command = ["docker", "compose", f"--project-name={PROJECT}", "--profile=canary"]
        self._command += [f"--file={file}" for file in files]

    def run(self, *arguments: str, **settings: str) -> str:
        """What it prints; it must succeed."""
        done = subprocess.run(
            [*self._command, *arguments],
            env=os.environ | _SETTINGS | settings,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout


@pytest.fixture
def compose(in_containers: bool, tmp_path: Path) -> Iterator[Compose]:
    if not in_containers:
        pytest.skip("needs images: make images, then --stack=containers")
    need_docker()
    if subprocess.run(
        ["docker", "compose", "version"], capture_output=True, check=False
    ).returncode:
        pytest.skip("this Docker has no Compose")
    it = Compose(tmp_path)
    yield it
    it.run("down", "--volumes")


def test_a_laptops_tocsin_pages_and_resolves(compose: Compose) -> None:
    compose.run("up", "--no-build", "--detach", "--wait", *SERVICES)
    (key,) = compose.run(
        "exec", "-T", "intake", "tocsin", "intake", "integrations", "create", "canary"
    ).split()
    compose.run("up", "--no-build", "--detach", "--wait", "canary", TOCSIN_CANARY_KEY=key)

    def log() -> str:
        return compose.run("logs", "--no-color", "canary")

    stack.until(lambda: "canary round" in log())
    assert "canary round passed" in log()
