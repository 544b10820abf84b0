"""Images by buildah, which needs no daemon and writes the same image twice."""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.local.paths import CHECKOUT

LOCAL = "localhost"
"""The registry in the names of images that were built here, as buildah writes it."""


class NoBuildah(Exception):
    """buildah is not installed; the text says how to install it."""


def require() -> None:
    """Raises NoBuildah where images cannot be built."""
    if not shutil.which("buildah"):
        raise NoBuildah("buildah is missing; install it (Debian: buildah)")


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a build needs. `contexts` are folders that the file copies from by name."""

    dockerfile: Path
    arguments: Mapping[str, str]
    contexts: Mapping[str, Path]


def build(recipe: Recipe, target: str, image: str, *, fresh: bool = False) -> None:
    """Build one target and name it. `fresh` uses no layer of an earlier build."""
    options = [f"--build-arg={name}={value}" for name, value in recipe.arguments.items()]
    options += [f"--build-context={name}={folder}" for name, folder in recipe.contexts.items()]
    if authorities := os.environ.get("SSL_CERT_FILE"):
        options.append(f"--secret=id=ca,src={authorities}")
    file = recipe.dockerfile
    _buildah(
        "build",
        # Times differ from build to build. A container of its own would need rights that CI lacks.
        *("--timestamp=0", "--isolation=chroot", "--layers"),
        *("--quiet", f"--file={file}", f"--ignorefile={file}.dockerignore"),
        *(["--no-cache"] if fresh else []),
        *(*options, f"--target={target}", f"--tag={LOCAL}/{image}", str(CHECKOUT)),
    )


def exists(image: str) -> bool:
    """Whether it was built here."""
    return bool(_buildah("images", "--quiet", f"--filter=reference={LOCAL}/{image}"))


def described(image: str) -> tuple[str, str]:
    """Digest of its manifest (`sha256:...`), and its size unpacked (`170 MB`)."""
    (found,) = json.loads(_buildah("images", "--json", f"{LOCAL}/{image}"))
    return found["digest"], found["size"]


def save(image: str, archive: Path) -> None:
    """Write it to a file that `docker load` and `ctr images import` read."""
    archive.unlink(missing_ok=True)
    _buildah("push", "--quiet", f"{LOCAL}/{image}", f"docker-archive:{archive}:{image}")


def _buildah(command: str, *arguments: str) -> str:
    """What it printed. CalledProcessError when it failed; its messages are on standard error."""
    done = subprocess.run(
        ["buildah", command, *arguments], stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout.strip()
