"""`python -m tests.contract.generate`: write what follows from the code into docs, and enter new
samples.

`--release` keeps the schemas of now as those of the project's version: from then on nothing in them
may be broken.
"""

import shutil
import sys
import tomllib
from pathlib import Path
from typing import Any

import yaml

from services.escalation.response.http import make_router
from services.intake.gateways.http import create_api
from services.reporting.figures.http import make_router as figures_router
from services.reporting.timeline.http import make_router as incidents_router
from shared.http.app import create_app
from tests.contract import telemetry
from tests.contract.asyncapi import asyncapi
from tests.contract.files import OPENAPI, RELEASED, ROOT, SCHEMAS, add_to_manifest, render_json
from tests.contract.schemas import schemas

COMMAND = "python -m tests.contract.generate"


def generated() -> dict[Path, str]:
    """Every generated file with its text."""
    topics = yaml.safe_dump(asyncapi(_version()), sort_keys=False, allow_unicode=True, width=120)
    return {
        ROOT / "asyncapi.yaml": topics,
        ROOT.parent / "telemetry.md": telemetry.document(),
        **{SCHEMAS / f"{name}.json": render_json(schema) for name, schema in schemas().items()},
        **{
            OPENAPI / f"{name}.json": render_json(document) for name, document in _openapi().items()
        },
    }


def _openapi() -> dict[str, dict[str, Any]]:
    """What each service says of its HTTP. Nothing here is ever called, so nothing needs what it
    would work with.
    """
    nothing: Any = None
    escalation, reporting = create_app("Tocsin escalation"), create_app("Tocsin reporting")
    escalation.include_router(make_router(nothing, nothing, ""))
    reporting.include_router(incidents_router(nothing, nothing, nothing))
    reporting.include_router(figures_router(nothing, nothing))
    intake = create_api(nothing, nothing, nothing)
    return {
        "intake": intake.openapi(),
        "escalation": escalation.openapi(),
        "reporting": reporting.openapi(),
    }


def _version() -> str:
    version: str = tomllib.loads((ROOT.parents[1] / "pyproject.toml").read_text())["project"][
        "version"
    ]
    return version


def stale() -> set[Path]:
    """Files that stand where only generated ones belong and that no code asks for any more."""
    return {*SCHEMAS.iterdir(), *OPENAPI.iterdir()} - generated().keys()


def main(release: bool) -> None:
    """Bring the folder up to date."""
    for path, text in generated().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for path in stale():
        path.unlink()
    if release:
        # Fails when the version is there: what was released stays as it is.
        shutil.copytree(SCHEMAS, RELEASED / _version())
    add_to_manifest()


if __name__ == "__main__":
    main(release="--release" in sys.argv[1:])
