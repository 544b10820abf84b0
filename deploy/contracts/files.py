"""The folder docs/contracts, and its manifest: hashes of the files that must never change (samples
and released schemas).
"""

import hashlib
import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2] / "docs" / "contracts"
SCHEMAS, OPENAPI, MANIFEST = ROOT / "schemas", ROOT / "openapi", ROOT / "MANIFEST"
SAMPLES, RELEASED = ROOT / "samples", ROOT / "released"


def render_json(document: Any) -> str:
    """JSON in the format of the committed files."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def load(path: Path) -> Any:
    """Parse a JSON file."""
    return json.loads(path.read_text())


def sample_files() -> list[Path]:
    """All samples, `samples/<type>/<number>-<what>.json`."""
    return sorted(SAMPLES.glob("*/*.json"))


def hashes() -> dict[str, str]:
    """SHA-256 of every sample and released schema, by path relative to docs/contracts."""
    return {
        file.relative_to(ROOT).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in [*sample_files(), *sorted(RELEASED.glob("*/*.json"))]
    }


def read_manifest() -> dict[str, str]:
    """The committed hashes, by path; the format is that of `sha256sum`."""
    lines = MANIFEST.read_text().splitlines() if MANIFEST.exists() else []
    return {path: digest for digest, path in (line.split("  ", 1) for line in lines)}


def add_to_manifest() -> None:
    """Add entries for new files. Existing entries are kept, so that a changed file is still
    detected.
    """
    entries = hashes() | read_manifest()
    MANIFEST.write_text("".join(f"{digest}  {path}\n" for path, digest in sorted(entries.items())))
