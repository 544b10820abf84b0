"""Levels of the process, read where the system shows them."""

from pathlib import Path

import pytest

from shared.runtime import gauges
from shared.telemetry.metrics import CPU, MEMORY


def test_the_process_is_measured() -> None:
    assert {level.metric for level in gauges._process()} == {CPU, MEMORY}


def test_what_cannot_be_read_is_left_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for unreadable in (tmp_path, tmp_path / "missing"):
        monkeypatch.setattr(gauges, "_STATM", unreadable)
        assert {level.metric for level in gauges._process()} == {CPU}
