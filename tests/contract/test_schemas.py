"""The committed schemas match the code and are compatible with released ones."""

from pathlib import Path

import pytest

from deploy.contracts.breaking import breaking_changes
from deploy.contracts.event_types import EVENTS
from deploy.contracts.files import RELEASED, ROOT, hashes, load, read_manifest
from deploy.contracts.generate import COMMAND, generated, stale
from deploy.contracts.schemas import schemas

_RELEASED = sorted(RELEASED.glob("*/*.json"))


def test_committed_files_match_the_code() -> None:
    differing = {
        path for path, text in generated().items() if not path.exists() or path.read_text() != text
    }
    names = sorted(path.relative_to(ROOT.parent).as_posix() for path in differing | stale())
    assert not names, f"{', '.join(names)}: outdated; run `{COMMAND}` and review the difference"


@pytest.mark.parametrize("path", _RELEASED, ids=lambda path: f"{path.parent.name} {path.stem}")
def test_schemas_are_compatible_with_released_ones(path: Path) -> None:
    current, written = schemas(), {"envelope.fact", *(kind.name for kind in EVENTS if kind.written)}
    assert path.stem in current, (
        f"{path.stem} was released in {path.parent.name} and is missing; others may rely on it"
    )
    breaks = breaking_changes(load(path), current[path.stem], path.stem in written)
    assert not breaks, (
        f"{path.stem} is incompatible with {path.parent.name}: {breaks}; make a new topic version"
    )


def test_there_is_a_release() -> None:
    assert _RELEASED


def test_samples_and_released_schemas_never_change() -> None:
    committed, now = read_manifest(), hashes()
    changed = {path for path, digest in committed.items() if now.get(path) != digest}
    assert not changed, (
        f"{sorted(changed)}: changed or removed; restore them and add a new file instead"
    )
    assert not now.keys() - committed.keys(), (
        f"{sorted(now.keys() - committed.keys())}: new; run `{COMMAND}`"
    )
