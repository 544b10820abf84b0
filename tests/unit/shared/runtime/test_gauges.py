"""Levels of the process, read where the system shows them, and what components know."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from shared.runtime import gauges
from shared.telemetry.metrics import CPU, MEMORY, PROBLEMS


def test_the_process_is_measured() -> None:
    assert {level.metric for level in gauges._process()} == {CPU, MEMORY}


def test_what_cannot_be_read_is_left_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for unreadable in (tmp_path, tmp_path / "missing"):
        monkeypatch.setattr(gauges, "_STATM", unreadable)
        assert {level.metric for level in gauges._process()} == {CPU}


@dataclass
class Part:
    """A component that has these problems, and one that is kept from a part of its work."""

    found: tuple[str, ...] = ()
    kept_from: tuple[str, ...] = ()

    async def run(self) -> None:
        """Nothing."""

    def problems(self) -> list[str]:
        return [*self.found]

    def degraded(self) -> list[str]:
        return [*self.kept_from]


def test_what_is_degraded_counts_and_is_told_from_what_does_not_work() -> None:
    components = {
        "sender": Part(found=("no mail server", "no receiver")),
        "consumption": Part(kept_from=("Kafka refuses the password",)),
        "relay": Part(found=("the oldest event waits for 70 s",)),
        "policy": Part(),
    }
    counted = {
        level.values: level.value for level in gauges.known(components) if level.metric is PROBLEMS
    }
    assert counted == {
        ("sender", "problem"): 2,
        ("sender", "degraded"): 0,
        ("consumption", "problem"): 0,
        ("consumption", "degraded"): 1,
        ("relay", "problem"): 0,
        ("relay", "degraded"): 1,
        ("policy", "problem"): 0,
        ("policy", "degraded"): 0,
    }
