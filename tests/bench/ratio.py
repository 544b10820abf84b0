"""The ratio of two systems' figures, taken within each round: both met the same machine there."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ratio:
    """The median of the rounds' ratios, and the range that they are in."""

    median: float
    lowest: float
    highest: float


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> Ratio | None:
    """The ratios round by round; None where there is nothing to compare.

    Between two middle rounds the median is their geometric mean: a system that is twice as slow
    when it begins, and twice as fast when the other begins, has the ratio 1.
    """
    pairs = zip(ours, theirs, strict=True)
    rounds = [our / their for our, their in pairs if our and their]
    if not rounds:
        return None
    middle = math.exp(statistics.median(map(math.log, rounds)))
    return Ratio(middle, min(rounds), max(rounds))
