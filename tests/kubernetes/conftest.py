"""The manifests as kubectl renders them: `make kubernetes`."""

import shutil
import subprocess
from functools import cache
from typing import Any

import pytest
import yaml

from deploy.kubernetes.paths import MANIFESTS

Json = dict[str, Any]
OVERLAYS = sorted(
    folder.parent.name
    for folder in (MANIFESTS / "overlays").glob("*/kustomization.yaml")
    if folder.parent.name != "namespace"
)


@cache
def rendered(overlay: str) -> str:
    """The text of all documents of an overlay."""
    if not shutil.which("kubectl"):
        pytest.skip("kubectl is not installed")
    done = subprocess.run(
        ["kubectl", "kustomize", MANIFESTS / "overlays" / overlay],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr, done.stderr
    return done.stdout


def documents(overlay: str) -> list[Json]:
    """The same, parsed anew."""
    return [one for one in yaml.safe_load_all(rendered(overlay)) if one]


def name_of(document: Json) -> str:
    """Such as `Deployment/tocsin-intake`."""
    return f"{document['kind']}/{document['metadata']['name']}"


def of_kind(overlay: str, *kinds: str) -> list[Json]:
    """The documents of some kinds."""
    return [one for one in documents(overlay) if one["kind"] in kinds]
