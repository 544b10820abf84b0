"""Who owns what the catalogue does not know."""

import pytest

from services.triage.catalogue.domain import find_owner
from services.triage.catalogue.policy import Catalogue, CatalogueService

CATALOGUE = Catalogue(
    default_team="platform", services={"checkout": CatalogueService(team="payments", tier=1)}
)


@pytest.mark.parametrize(
    ("service", "labels", "team", "reason"),
    [
        ("checkout", {"team": "web"}, "payments", "the catalogue's team for checkout"),
        ("other", {"team": "web"}, "web", "the label `team`, since `other` is not in the"),
        (None, {"team": "web"}, "web", "the label `team`, since no service was named"),
        (None, {"team": " "}, "platform", "the default, since no service was named"),
        (None, {}, "platform", "the default, since no service was named"),
        (None, {"team": "x" * 4096}, "x" * 200, "the label `team`"),
    ],
)
def test_the_owner_and_why(
    service: str | None, labels: dict[str, str], team: str, reason: str
) -> None:
    owner = find_owner(service, labels, CATALOGUE)
    assert owner.team == team
    assert reason in owner.reason
