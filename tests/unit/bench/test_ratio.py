"""Ratios of two systems' figures, round by round."""

import pytest

from tests.bench.ratio import Ratio, ratio


def rounded(found: Ratio | None) -> tuple[float, float, float]:
    assert found is not None
    return round(found.median, 6), found.lowest, found.highest


def test_a_ratio_is_the_median_of_the_rounds_and_not_the_ratio_of_the_medians() -> None:
    """The machine is slow in the second round, for both versions."""
    assert rounded(ratio([10, 100, 12], [10, 100, 12])) == (1, 1, 1)
    assert rounded(ratio([5, 300, 15], [4, 200, 20])) == (1.25, 0.75, 1.5)


def test_a_version_that_only_loses_when_it_begins_is_as_good_as_the_other() -> None:
    assert rounded(ratio([20, 10], [10, 20])) == (1, 0.5, 2)


def test_a_round_in_which_a_version_has_no_figure_does_not_count() -> None:
    assert rounded(ratio([10, 0, 20], [0, 10, 10])) == (2, 2, 2)
    assert ratio([10, 20], [0, 0]) is None


def test_rounds_must_be_complete() -> None:
    with pytest.raises(ValueError, match="shorter"):
        ratio([10, 20], [10])
