"""The programs of the cluster, built once for each version of their sources."""

import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path

from deploy.kubernetes.paths import cache

SOURCES = Path(__file__).parent / "cluster"
COMPONENTS = (
    "kube-apiserver", "kube-controller-manager", "kube-proxy", "kube-scheduler", "kubelet",
)  # fmt: skip
"""Names by which the program `kube` is called."""
_VERSION = "k8s.io/component-base/version"


def build(log: Path) -> Path:
    """The folder of all programs. What is missing is built: twenty minutes of CPU the first time.

    Raises CalledProcessError; the compilers' messages are in `log`.
    """
    folder = cache() / "bin" / _digest()
    if folder.exists():
        return folder
    new = folder.with_suffix(".new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    with log.open("ab") as output:
        for name in ("etcd", "coredns", "kube"):
            flags = ["-s", "-w", *(_kubernetes_version() if name == "kube" else [])]
            _run(
                *("go", "build", "-C", SOURCES / name, "-trimpath", "-buildvcs=false"),
                *("-ldflags", " ".join(flags), "-o", new / name, "."),
                output=output,
            )
        _run(
            "gcc",
            "-static",
            "-Os",
            "-s",
            SOURCES / "pause" / "main.c",
            "-o",
            new / "pause",
            output=output,
        )
    for component in COMPONENTS:
        (new / component).symlink_to("kube")
    new.rename(folder)
    return folder


def kubernetes_version() -> str:
    """Such as `1.34.4`."""
    text = (SOURCES / "kube" / "go.mod").read_text()
    found = re.search(r"k8s\.io/kubernetes v([\d.]+)", text)
    assert found, "go.mod names no version of Kubernetes"  # noqa: S101
    return found[1]


def _kubernetes_version() -> list[str]:
    version = kubernetes_version()
    major, minor, _ = version.split(".")
    facts = {"gitVersion": f"v{version}", "gitMajor": major, "gitMinor": minor}
    return [f"-X {_VERSION}.{name}={value}" for name, value in facts.items()]


def _digest() -> str:
    content = hashlib.sha256()
    for path in sorted(path for path in SOURCES.rglob("*") if path.is_file()):
        content.update(f"{path.relative_to(SOURCES)}\n".encode() + path.read_bytes())
    return content.hexdigest()[:16]


def _run(*command: str | Path, output: "subprocess._FILE") -> None:
    environment = os.environ | {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local"}
    subprocess.run(
        ["nice", "-n", "19", *command], check=True, env=environment, stdout=output, stderr=output
    )
