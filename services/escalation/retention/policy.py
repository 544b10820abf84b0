"""Escalation's section of retention.yaml."""

from datetime import timedelta

from shared.policy.files import PolicyModel
from shared.policy.retention import Kept, Periods, Texts, periods_in


class Retention(PolicyModel):
    """After its end, a response with its part of the delivery ledger."""

    incidents: Kept = timedelta(days=90)


def periods(texts: Texts) -> Periods:
    """How long rows are kept, by kind. Raises InvalidPolicy."""
    return periods_in(texts, "escalation")
