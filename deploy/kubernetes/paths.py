"""Where the manifests are, and where what is built and downloaded is kept."""

import os
from pathlib import Path

MANIFESTS = Path(__file__).parent
ROOT = MANIFESTS.parents[1]


def cache() -> Path:
    """Outside the checkout, so that builds outlive it: TOCSIN_CACHE, or the user's cache folder."""
    user = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("TOCSIN_CACHE") or Path(user) / "tocsin") / "kubernetes"
