"""The bill of materials of an image: its Debian and Python packages, as CycloneDX."""

import os
import subprocess
import sys
from pathlib import Path

_SYFT = Path(sys.executable).with_name("syft")


def write_sbom(archive: Path, name: str, version: str, file: Path) -> None:
    """Write the SBOM of a saved image, which it calls by this name, as CycloneDX JSON."""
    subprocess.run(
        [
            *(_SYFT, "scan", f"docker-archive:{archive}", "--quiet"),
            *(f"--source-name={name}", f"--source-version={version}"),
            f"--output=cyclonedx-json={file}",
        ],
        env=os.environ | {"SYFT_CHECK_FOR_APP_UPDATE": "false"},
        check=True,
    )
