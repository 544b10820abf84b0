"""A worse situation is never treated as less urgent."""

from itertools import product

import pytest

from services.triage.catalogue.policy import Catalogue, CatalogueService
from services.triage.priority.domain import triage
from shared.events.intake import Severity
from shared.events.triage import Priority
from shared.policy.files import PolicyFile
from tests.unit.triage.priority.test_domain import incident


def priority(severity: Severity, tier: int | None) -> Priority:
    known = {"checkout": CatalogueService(team="payments", tier=tier)} if tier else {}
    catalogue = PolicyFile(
        "catalogue.yaml", "v", "", Catalogue(default_team="platform", services=known)
    )
    return triage(incident(severity=severity), 1, catalogue).priority


@pytest.mark.parametrize(("tier", "severity"), list(product([1, 2, 3, 4, None], Severity)))
def test_a_worse_severity_or_a_more_critical_tier_never_lowers_the_priority(
    tier: int | None, severity: Severity
) -> None:
    milder = list(Severity)[list(Severity).index(severity) :]
    lighter = [tier] if tier is None else range(tier, 5)
    here = priority(severity, tier)
    assert all(here <= priority(severity, other) for other in lighter)
    assert all(here <= priority(other, tier) for other in milder)
