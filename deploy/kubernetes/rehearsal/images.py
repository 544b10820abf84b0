"""The images that the rehearsal's cluster runs, as archives."""

import subprocess
from importlib.metadata import version
from pathlib import Path

from deploy.images import IMAGES, SERVERS
from deploy.images.build import main as build_images
from deploy.images.buildah import LOCAL

NAMES = tuple(f"tocsin-{name}" for name in (*IMAGES, *SERVERS))
PAUSE = "tocsin-pause"


def save_images(folder: Path, pause: Path) -> None:
    """Build all images on a base of Debian packages and write each to `<folder>/<name>.tar`.

    `pause` is the program that holds a pod's namespaces. Raises CalledProcessError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    build_images([name.removeprefix("tocsin-") for name in NAMES], debian=True)
    _build_pause(pause)
    for name in (*NAMES, PAUSE):
        archive = folder / f"{name}.tar"
        archive.unlink(missing_ok=True)
        tag = "rehearsal" if name == PAUSE else version("tocsin")
        _run("buildah", "push", "--quiet", f"{LOCAL}/{name}:{tag}",
             f"docker-archive:{archive}:{LOCAL}/{name}:rehearsal")  # fmt: skip


def _build_pause(program: Path) -> None:
    container = _run("buildah", "from", "scratch")
    _run("buildah", "copy", "--quiet", container, str(program), "/pause")
    _run("buildah", "config", "--entrypoint", '["/pause"]', "--user", "65535:65535", container)
    _run("buildah", "commit", "--quiet", "--rm", container, f"{LOCAL}/{PAUSE}:rehearsal")


def _run(*command: str) -> str:
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.strip()
