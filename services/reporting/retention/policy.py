"""Reporting's section of retention.yaml. The audit log is never shortened."""

from datetime import timedelta

from shared.policy.files import PolicyModel
from shared.policy.retention import Kept, Periods, Texts, periods_in


class Retention(PolicyModel):
    """After its resolution, an incident with its timeline and its record on the topic
    `tocsin.incidents.v1`, real or of a canary; after it was made, a change; after it came in, an
    advisory or a service request.
    """

    incidents: Kept = timedelta(days=730)
    synthetic_incidents: Kept = timedelta(days=31)
    changes: Kept = timedelta(days=730)
    advisories: Kept = timedelta(days=730)
    requests: Kept = timedelta(days=730)


def periods(texts: Texts) -> Periods:
    """How long rows are kept, by kind. Raises InvalidPolicy."""
    return periods_in(texts, "reporting")
