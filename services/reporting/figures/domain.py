"""The figures, and what each of them means."""

from dataclasses import dataclass
from datetime import timedelta

DEFINITIONS = {
    "mtta": "Mean time to acknowledge: from opening to acknowledgement, "
    "over the incidents that a person acknowledged.",
    "mttr": "Mean time to resolve: from opening to resolution, "
    "over the incidents that are resolved, by whomever.",
    "never_acknowledged": "Resolved without anybody having acknowledged. "
    "They do not count for MTTA.",
    "opened": "Incidents that were opened in the period, but for synthetic ones. "
    "Every figure is over these.",
}


@dataclass(frozen=True, slots=True)
class Figures:
    """Over the incidents opened in the last `days`; a mean over no incidents is None."""

    days: int
    opened: int
    open: int
    acknowledged: int
    mtta: timedelta | None
    resolved: int
    mttr: timedelta | None
    never_acknowledged: int
