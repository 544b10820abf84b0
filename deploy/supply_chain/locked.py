"""What the requirements files lock."""

from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from deploy.local.paths import CHECKOUT

FOLDER = CHECKOUT / "requirements"
RUNTIME, LOCAL, DEV = (FOLDER / f"{name}.txt" for name in ("runtime", "local", "dev"))
"""Each holds what the one before it holds."""
LOCKS = tuple(sorted(FOLDER.glob("*.txt")))


def installable(lock: Path) -> list[str]:
    """Names of the locked packages that are for this platform, in their canonical form."""
    lines = lock.read_text().splitlines()
    pinned = [Requirement(line.rstrip(" \\")) for line in lines if line[:1].isalnum()]
    return [
        canonicalize_name(requirement.name)
        for requirement in pinned
        if requirement.marker is None or requirement.marker.evaluate()
    ]
