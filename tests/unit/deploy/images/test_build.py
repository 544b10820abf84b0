"""The Dockerfile fits the tree: a target for each service, and only what a build may read."""

import re
from pathlib import Path

import pytest

from deploy.images import IMAGES
from deploy.images.build import FOLDER
from deploy.local.paths import CHECKOUT
from shared.runtime.discovery import service_packages

FILES = [FOLDER / "Dockerfile", FOLDER / "servers.Dockerfile"]
TEXT = FILES[0].read_text()


def test_every_service_has_an_image() -> None:
    assert {*service_packages(), "canary"} == set(IMAGES)
    assert re.findall(r"^FROM runtime AS (\w+)$", TEXT, re.MULTILINE) == list(IMAGES)


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_contains_its_own_package_alone(name: str) -> None:
    stage = re.search(rf"^FROM source AS {name}-build\n(.*?)^$", TEXT, re.MULTILINE | re.DOTALL)
    assert stage
    copied = set(re.findall(r"(?:services|deploy)/\w+(?= )", stage[1])) - {"deploy/__init__"}
    assert copied == {f"deploy/{name}" if name == "canary" else f"services/{name}"}


def test_the_base_is_pinned_by_digest() -> None:
    assert re.search(r"^ARG BASE=\S+:\S+@sha256:[0-9a-f]{64}$", TEXT, re.MULTILINE)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_build_may_read_exactly_what_it_copies(file: Path) -> None:
    ignore = file.with_name(f"{file.name}.dockerignore").read_text().splitlines()
    allowed = {line.removeprefix("!") for line in ignore if line.startswith("!")}
    assert [path for path in allowed if not (CHECKOUT / path).exists()] == []
    copies = re.findall(r"^COPY (?!--from)(.+) \S+$", file.read_text(), re.MULTILINE)
    wanted = {path for sources in copies for path in sources.split()}
    assert {path for path in wanted if not any(covers(it, path) for it in allowed)} == set()
    assert {it for it in allowed if not any(covers(it, path) for path in wanted)} == set()


def covers(allowed: str, path: str) -> bool:
    """Whether a pattern of the ignore file lets a path through."""
    return path == allowed or path.startswith(f"{allowed}/")
