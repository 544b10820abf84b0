"""kube-score, a linter of manifests, finds nothing that is not explained here."""

import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.kubernetes.paths import cache
from tests.kubernetes.conftest import OVERLAYS, rendered

_GOOD = 10  # of 10
SOURCES = Path(__file__).with_name("kube-score")
WAIVED = {
    ("container-resources", "CPU limit is not set", ".*"): (
        "A limit stops a container although the processor is idle, and a page with it. "
        "Requests say who goes first."
    ),
    ("container-image-pull-policy", ".*", ".*"): "A digest names one image, wherever it is from.",
    ("container-security-context-user-group-id", ".* low .* ID", "tocsin-(postgres|kafka)"): (
        "The users that the upstream images have for it."
    ),
    ("pod-probes", ".*livenessProbe", "tocsin-(postgres|kafka)"): (
        "A server that hangs is for somebody to look at: a restart may interrupt its recovery."
    ),
    ("deployment-replicas", ".*", ".*"): (
        "One of each in the small overlay; elsewhere the autoscaler sets the number. "
        "One collector, since nothing is lost without it but telemetry."
    ),
    ("deployment-strategy", ".*", "tocsin-canary"): (
        "One at a time: an old and a new one would wait for each other's pages."
    ),
    ("deployment-has-host-podantiaffinity", ".*", ".*"): (
        "Topology spread constraints do this, over zones and hosts."
    ),
    ("networkpolicy-targets-pod", ".*", "tocsin-(strimzi|postgres|keda-to-kafka)"): (
        "The pods that it is for are made by an operator."
    ),
}
"""Check, finding and object, and why it is right as it is."""


@pytest.fixture(scope="session")
def kube_score() -> Path:
    """The program, built once for each version."""
    version = hashlib.sha256((SOURCES / "go.sum").read_bytes()).hexdigest()[:16]
    program = cache() / f"kube-score-{version}"
    if not program.exists():
        if not shutil.which("go"):
            pytest.skip("Go, which builds kube-score, is not installed")
        subprocess.run(
            [
                "go",
                "build",
                "-trimpath",
                "-o",
                program,
                "github.com/zegl/kube-score/cmd/kube-score",
            ],
            cwd=SOURCES,
            env=os.environ | {"GOFLAGS": "-buildvcs=false"},
            check=True,
        )
    return program


def findings(program: Path, overlay: str) -> Iterator[tuple[str, str, str]]:
    """Check, what it found, and the name of the object."""
    done = subprocess.run(
        [program, "score", "--output-format", "json", "-"],
        input=rendered(overlay),
        capture_output=True,
        text=True,
        check=False,
    )
    for scored in json.loads(done.stdout):
        for check in scored["checks"]:
            if not check["skipped"] and check["grade"] < _GOOD:
                for comment in check["comments"] or []:
                    yield check["check"]["id"], comment["summary"], scored["object_meta"]["name"]


def explains(waiver: tuple[str, str, str], found: tuple[str, str, str]) -> bool:
    return all(re.fullmatch(wanted, one) for wanted, one in zip(waiver, found, strict=True))


def test_nothing_is_found_but_what_is_waived(kube_score: Path) -> None:
    found = {one for overlay in OVERLAYS for one in findings(kube_score, overlay)}
    used = {waiver for waiver in WAIVED if any(explains(waiver, one) for one in found)}
    unexplained = {one for one in found if not any(explains(waiver, one) for waiver in WAIVED)}

    assert unexplained == set()
    assert set(WAIVED) - used == set(), "waived, and not found any more"
