"""`python -m deploy.kubernetes.rehearsal`: rehearse Tocsin in a real cluster on this machine."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from time import monotonic
from typing import Annotated

import typer

from deploy.kubernetes.crds import crd_files
from deploy.kubernetes.rehearsal import trials
from deploy.kubernetes.rehearsal.admission import OVERLAYS, check_overlay, install_crds
from deploy.kubernetes.rehearsal.binaries import build, kubernetes_version
from deploy.kubernetes.rehearsal.cluster import Cluster
from deploy.kubernetes.rehearsal.figures import Figures
from deploy.kubernetes.rehearsal.images import NAMES, save_images
from deploy.kubernetes.rehearsal.installation import Installation
from deploy.kubernetes.rehearsal.isolation import run_isolated
from deploy.kubernetes.rehearsal.node import Node
from deploy.kubernetes.rehearsal.shell import Failed

_NEEDED = {
    "buildah": "buildah", "conntrack": "conntrack", "containerd": "containerd", "gcc": "gcc",
    "go": "golang", "iptables": "iptables", "kubectl": "kubectl", "mmdebstrap": "mmdebstrap",
    "openssl": "openssl", "runc": "runc", "unshare": "util-linux",
}  # fmt: skip
"""Programs, and the packages of Debian that have them."""

app = typer.Typer(add_completion=False)


@app.command()
def rehearse(
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep the logs and volumes, and say where they are.")
    ] = False,
) -> None:
    """Apply every overlay to a real cluster of one node, run the small one there, and disturb it.

    The first run builds the cluster's programs, which takes twenty minutes of CPU.
    """
    if missing := [package for program, package in _NEEDED.items() if not shutil.which(program)]:
        sys.exit(f"rehearse: install {' '.join(missing)}")
    if os.geteuid() != 0:
        sys.exit("rehearse: needs root, for network and process namespaces")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    folder = Path(tempfile.mkdtemp(prefix="tocsin-rehearsal-"))
    try:
        typer.echo(f"Kubernetes {kubernetes_version()}; logs are in {folder}")
        binaries = build(folder / "build.log")
        save_images(folder / "images", binaries / "pause")
        crd_files()
        inside = [
            sys.executable,
            "-m",
            "deploy.kubernetes.rehearsal",
            "inside",
            str(folder),
            str(binaries),
        ]
        status = run_isolated(inside)
    except subprocess.CalledProcessError as error:
        sys.exit(f"rehearse: {error}")
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)
    raise typer.Exit(status)


@app.command(hidden=True)
def inside(folder: Path, binaries: Path) -> None:
    """The part that runs in namespaces of its own."""
    figures, began = Figures(), monotonic()
    node = Node(folder, binaries)
    try:
        _run(node, figures)
    except Failed as failure:
        node.keep_events()
        sys.exit(f"rehearse: {failure}")
    figures.note("everything", f"{monotonic() - began:.0f} s")
    typer.echo(f"\n{figures.table()}")


def _run(node: Node, figures: Figures) -> None:
    with figures.timed("cluster of one node ready"):
        node.start()
    cluster = Cluster(node.pki.path("admin.conf"))
    install_crds(cluster, figures)
    for name in OVERLAYS:
        check_overlay(cluster, name, figures)
    it = Installation(cluster, node.folder, figures)
    with figures.timed("images imported"):
        digests = {name: node.load(node.folder / "images" / f"{name}.tar") for name in NAMES}
    it.start(digests)
    key = it.tocsin("intake", "intake", "integrations", "create", "rehearsal").split()[-1]
    trials.demo(it, key)
    trials.canary(it)
    asyncio.run(trials.kills(it, key))
    asyncio.run(trials.rolling_update(it, key))
    for name, used in sorted({**it.memory(), **node.memory()}.items()):
        figures.note(f"memory of {name}", f"{used / 2**20:.0f} MiB")


if __name__ == "__main__":
    app()
