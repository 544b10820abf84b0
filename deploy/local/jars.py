"""Jars: exactly those of a committed lock file, downloaded once and verified by SHA-256 whenever
they are asked for.
"""

import fcntl
import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import jgo
from jgo.env import LockedDependency, LockFile
from jgo.maven import MavenContext

KAFKA_VERSION = "4.3.1"
LOG4J_VERSION = "2.25.4"


@dataclass(frozen=True)
class Locked:
    """What to resolve, and the lock file that says what was found."""

    endpoint: str
    lock: Path

    def digest(self) -> str:
        """Changes with the lock file."""
        return _sha256(self.lock)[:16]


KAFKA = Locked(
    f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}"
    # Without a logging binding the broker logs nothing. "!": do not manage Kafka's versions by it.
    f"+org.apache.logging.log4j:log4j-slf4j-impl:{LOG4J_VERSION}!",
    Path(__file__).with_name("kafka.lock.toml"),
)

Progress = Callable[[int, int], None]


def fetch(
    cache: Path, progress: Progress = lambda done, total: None, locked: Locked = KAFKA
) -> list[Path]:
    """The locked jars as paths under `cache`, downloaded if missing. RuntimeError when a download
    fails.
    """
    wanted = LockFile.load(locked.lock).dependencies
    context = MavenContext(repo_cache=cache, timeout=60)
    with _locked(cache), ThreadPoolExecutor(8) as pool:
        jars = []
        for jar in pool.map(lambda dependency: _fetch(context, dependency), wanted):
            jars.append(jar)
            progress(len(jars), len(wanted))
    return jars


def relock(cache: Path, locked: Locked = KAFKA) -> None:
    """Resolve it again and write the lock file."""
    context = MavenContext(repo_cache=cache, timeout=60)
    dependencies = []
    for found in jgo.resolve(locked.endpoint):
        artifact = (
            context.project(found.groupId, found.artifactId).at_version(found.version).artifact()
        )
        dependencies.append(
            LockedDependency(
                found.groupId, found.artifactId, found.version, sha256=_sha256(artifact.resolve())
            )
        )
    LockFile(
        sorted(dependencies, key=lambda d: (d.groupId, d.artifactId)),
        environment_name=locked.lock.name.partition(".")[0],
    ).save(locked.lock)


def _fetch(context: MavenContext, locked: LockedDependency) -> Path:
    artifact = (
        context.project(locked.groupId, locked.artifactId).at_version(locked.version).artifact()
    )
    if artifact.cached_path and artifact.cached_path.exists():
        if _sha256(artifact.cached_path) == locked.sha256:
            return artifact.cached_path
        artifact.cached_path.unlink()  # an interrupted download
    try:
        jar = artifact.resolve()
    except (OSError, RuntimeError) as error:
        name = f"{locked.artifactId} {locked.version}"
        raise RuntimeError(f"{name} could not be fetched: {error}") from error
    if _sha256(jar) != locked.sha256:
        jar.unlink()
        raise RuntimeError(
            f"{jar.name} is not the file that the lock file names (its SHA-256 differs)"
        )
    return jar


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _locked(cache: Path) -> Iterator[None]:
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    from deploy.local.paths import JARS

    relock(JARS)
