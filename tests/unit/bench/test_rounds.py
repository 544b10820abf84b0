"""The order in which a round measures two versions."""

from pathlib import Path

from tests.bench.candidate import Candidate
from tests.bench.rounds import in_order
from tests.support.version import Version


def candidate(name: str) -> Candidate:
    return Candidate(name, Version(Path(name), Path(name) / "tocsin"), name)


CURRENT, BASELINE = candidate("current"), candidate("baseline")


def test_the_current_version_begins_odd_rounds_and_the_baseline_even_ones() -> None:
    orders = [in_order([CURRENT, BASELINE], number) for number in (1, 2, 3, 4)]
    assert orders == [[CURRENT, BASELINE], [BASELINE, CURRENT]] * 2


def test_one_version_runs_in_every_round() -> None:
    assert [in_order([CURRENT], number) for number in (1, 2)] == [[CURRENT], [CURRENT]]
