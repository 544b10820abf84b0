"""The committed schemas are those of the code, and break nothing that was released."""

from pathlib import Path

import pytest

from deploy.contracts.breaking import breaking_changes
from deploy.contracts.event_types import EVENTS
from deploy.contracts.files import RELEASED, ROOT, hashes, load, read_manifest
from deploy.contracts.generate import COMMAND, generated, stale
from deploy.contracts.schemas import schemas

_RELEASED = sorted(RELEASED.glob("*/*.json"))


def test_what_is_committed_is_what_the_code_says() -> None:
    differing = {
        path for path, text in generated().items() if not path.exists() or path.read_text() != text
    }
    names = sorted(path.relative_to(ROOT.parent).as_posix() for path in differing | stale())
    assert not names, (
        f"{', '.join(names)}: not as the code says; run `{COMMAND}` and look at the difference"
    )


@pytest.mark.parametrize("path", _RELEASED, ids=lambda path: f"{path.parent.name} {path.stem}")
def test_what_was_released_still_holds(path: Path) -> None:
    current, written = schemas(), {"envelope.fact", *(kind.name for kind in EVENTS if kind.written)}
    assert path.stem in current, (
        f"{path.stem} was released in {path.parent.name} and is gone; others may rely on it"
    )
    breaks = breaking_changes(load(path), current[path.stem], path.stem in written)
    assert not breaks, (
        f"{path.stem} breaks what was released in {path.parent.name}: {breaks}; make a new topic version"
    )


def test_something_was_released() -> None:
    assert _RELEASED


def test_samples_and_released_schemas_never_change() -> None:
    committed, now = read_manifest(), hashes()
    changed = {path for path, digest in committed.items() if now.get(path) != digest}
    assert not changed, (
        f"{sorted(changed)}: changed or gone; put them back as they were and add a new file instead"
    )
    assert not now.keys() - committed.keys(), (
        f"{sorted(now.keys() - committed.keys())}: new; run `{COMMAND}`"
    )
