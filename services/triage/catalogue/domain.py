"""Who owns a service, and why."""

from collections.abc import Mapping
from dataclasses import dataclass

from services.triage.catalogue.policy import Catalogue, CatalogueService

TEAM_LABEL = "team"
_MAX_TEAM = 200


@dataclass(frozen=True, slots=True)
class Ownership:
    """The team that owns a service, with the reason; `service` is None if the catalogue does not
    have it.
    """

    team: str
    reason: str
    service: CatalogueService | None


def find_owner(name: str | None, labels: Mapping[str, str], catalogue: Catalogue) -> Ownership:
    """The owner of the named service; of a service that is not known, the team in the label `team`,
    which its integration may have added, else the default team.
    """
    service = catalogue.services.get(name or "")
    if service is not None:
        reason = f"owner {service.team}: the catalogue's team for {name}"
        return Ownership(service.team, reason, service)
    missing = f"`{name}` is not in the catalogue" if name else "no service was named"
    if team := labels.get(TEAM_LABEL, "")[:_MAX_TEAM].strip():
        reason = f"owner {team}: the label `{TEAM_LABEL}`, since {missing}"
        return Ownership(team, reason, None)
    reason = f"owner {catalogue.default_team}: the default, since {missing}"
    return Ownership(catalogue.default_team, reason, None)
