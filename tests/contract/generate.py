"""`python -m tests.contract.generate`: write what follows from the code into docs/contracts, and enter new samples.

`--release` keeps the schemas of now as those of the project's version: from then on nothing in them may be broken.
"""

import shutil
import sys
import tomllib
from pathlib import Path

from tests.contract.files import RELEASED, ROOT, SCHEMAS, add_to_manifest, render_json
from tests.contract.schemas import data_schemas

COMMAND = "python -m tests.contract.generate"


def generated() -> dict[Path, str]:
    """Every generated file with its text."""
    return {SCHEMAS / f"{type}.json": render_json(schema) for type, schema in data_schemas().items()}


def stale() -> set[Path]:
    """Files that stand where only generated ones belong and that no code asks for any more."""
    return set(SCHEMAS.glob("*")) - generated().keys()


def main(release: bool) -> None:
    """Bring the folder up to date."""
    for path, text in generated().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for path in stale():
        path.unlink()
    if release:
        project = tomllib.loads((ROOT.parents[1] / "pyproject.toml").read_text())["project"]
        # Fails when the version is there: what was released stays as it is.
        shutil.copytree(SCHEMAS, RELEASED / project["version"])
    add_to_manifest()


if __name__ == "__main__":
    main(release="--release" in sys.argv[1:])
