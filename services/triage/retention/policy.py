"""Triage's section of retention.yaml."""

from datetime import timedelta

from shared.policy.files import PolicyModel
from shared.policy.retention import Kept, Periods, Texts, periods_in


class Retention(PolicyModel):
    """After its last decision, an incident that has cleared; the same of any incident, since
    nobody tells triage that responders resolved one; after it was routed, a service request.
    """

    incidents: Kept = timedelta(days=90)
    silent_incidents: Kept = timedelta(days=400)
    requests: Kept = timedelta(days=90)


def periods(texts: Texts) -> Periods:
    """How long rows are kept, by kind. Raises InvalidPolicy."""
    return periods_in(texts, "triage")
