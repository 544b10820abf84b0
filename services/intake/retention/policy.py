"""Intake's section of retention.yaml. How long signals are kept stands in intake.yaml, since that
is how long a repeat is recognised.
"""

from datetime import timedelta

from services.intake.incidents.policy import FILE, read_intake_policy
from shared.policy.files import PolicyModel
from shared.policy.retention import Kept, Periods, Texts, periods_in


class Retention(PolicyModel):
    """After its last news, an incident that has cleared or was closed, with its alerts; after its
    end, an integration key.
    """

    incidents: Kept = timedelta(days=90)
    expired_keys: Kept = timedelta(days=90)


def periods(texts: Texts) -> Periods:
    """How long rows are kept, by kind. Raises InvalidPolicy."""
    window = read_intake_policy(texts[FILE]).content.duplicate_window
    return periods_in(texts, "intake") | {
        "signals": window,
        "explanations": window,
        "early_resolutions": window,
    }
