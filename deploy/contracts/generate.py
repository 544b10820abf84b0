"""`python -m deploy.contracts.generate`: write the generated documents and add new samples to the
manifest.

`--release` also saves the current schemas as those of the project's version; later schemas must
stay compatible with them.
"""

import shutil
import sys
import tomllib
from pathlib import Path
from typing import Any

import yaml
from fastapi import APIRouter

from deploy.contracts import telemetry
from deploy.contracts.asyncapi import asyncapi
from deploy.contracts.files import OPENAPI, RELEASED, ROOT, SCHEMAS, add_to_manifest, render_json
from deploy.contracts.schemas import schemas
from services.escalation.response.http import make_router
from services.intake.app import make_api
from services.intake.incidents.http.alerts import make_router as alerts_router
from services.intake.incidents.http.decisions import make_router as decisions_router
from services.reporting.figures.http import make_router as figures_router
from services.reporting.timeline.http import make_router as incidents_router
from shared.http.app import create_app

COMMAND = "python -m deploy.contracts.generate"


def generated() -> dict[Path, str]:
    """Path and text of every generated file."""
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
    """The OpenAPI document of each service. No route is called, so none needs its dependencies."""
    unused: Any = None
    escalation, reporting = create_app("Tocsin escalation"), create_app("Tocsin reporting")
    escalation.include_router(make_router(unused, unused, ""))
    reporting.include_router(incidents_router(unused, unused, unused))
    reporting.include_router(figures_router(unused, unused))
    others = APIRouter()
    others.include_router(decisions_router(unused, ""))
    others.include_router(alerts_router(unused, ""))
    intake = make_api(unused, others=others)
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
    """Files in the generated folders that the code no longer generates."""
    return {*SCHEMAS.iterdir(), *OPENAPI.iterdir()} - generated().keys()


def main(release: bool) -> None:
    """Write all generated files and remove stale ones."""
    for path, text in generated().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for path in stale():
        path.unlink()
    if release:
        # Fails if that version exists: a released schema never changes.
        shutil.copytree(SCHEMAS, RELEASED / _version())
    add_to_manifest()


if __name__ == "__main__":
    main(release="--release" in sys.argv[1:])
