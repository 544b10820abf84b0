"""catalogue.yaml: the services, who owns them, how much depends on them and on what they depend."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, StringConstraints

from services.triage.catalogue.policy.matrix import PriorityRules, Tier, check_rules
from shared.policy.files import (
    Finding,
    PolicyError,
    PolicyFile,
    PolicyModel,
    check_file,
    did_you_mean,
    keys_of,
    read_policy,
)

FILE = "catalogue.yaml"
TEAMS_FILE = "teams.yaml"

Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]


def _flag(value: Any) -> Any:
    """true or false alone: pydantic takes `on` and `y` too, and this hides incidents from lists."""
    if value not in ("true", "false", True, False):
        raise ValueError("write true or false")
    return value


Flag = Annotated[bool, BeforeValidator(_flag)]


class CatalogueService(PolicyModel):
    """A service. Tier 1 is the most important: without it the business stops.

    Incidents of a `synthetic` service are a canary's: they are handled and paged like others, and
    left out of figures and lists.
    """

    team: Name
    tier: Tier
    dependencies: tuple[str, ...] = ()
    runbook: str | None = Field(default=None, pattern=r"^https?://\S+$", max_length=1000)
    description: str | None = None
    synthetic: Flag = False


class Catalogue(PolicyModel):
    """The whole file. `default_team` owns what the file does not know."""

    default_team: Name
    services: dict[Name, CatalogueService] = {}
    priority: PriorityRules = PriorityRules()


CurrentCatalogue = Callable[[], PolicyFile[Catalogue]]
"""Returns the catalogue in force: it can change while a service runs."""


def read_catalogue(data: bytes, teams: frozenset[str] | None = None) -> PolicyFile[Catalogue]:
    """catalogue.yaml, checked; with `teams`, owners have to be among them. Raises InvalidPolicy
    with all errors.
    """
    return read_policy(FILE, data, Catalogue, lambda catalogue: _findings(catalogue, teams))


def check(directory: Path) -> list[PolicyError]:
    """All errors of catalogue.yaml in a policy folder, including owners missing in teams.yaml."""
    file = directory / TEAMS_FILE
    teams = keys_of(file.read_bytes(), "teams") if file.exists() else None
    return check_file(directory / FILE, lambda data: read_catalogue(data, teams))


def _findings(catalogue: Catalogue, teams: frozenset[str] | None) -> Iterator[Finding]:
    yield from _owner(("default_team",), catalogue.default_team, teams)
    for name, service in catalogue.services.items():
        yield from _owner(("services", name, "team"), service.team, teams)
        yield from _tier(("services", name, "tier"), service.tier, catalogue.priority)
        yield from _dependencies(name, service, catalogue)
    yield from check_rules(catalogue.priority)


def _owner(
    path: tuple[str | int, ...], team: str, teams: frozenset[str] | None
) -> Iterator[Finding]:
    if teams is not None and team not in teams:
        yield Finding(
            path,
            f"there is no team `{team}` in {TEAMS_FILE}",
            did_you_mean(team, teams) or "add it there",
        )


def _tier(path: tuple[str | int, ...], tier: int, rules: PriorityRules) -> Iterator[Finding]:
    if tier not in rules.impact_of_tier:
        hint = f"add it to `priority.impact_of_tier`, or use one of {rules.tiers}"
        yield Finding(path, f"tier {tier} has no impact", hint)


def _dependencies(name: str, service: CatalogueService, catalogue: Catalogue) -> Iterator[Finding]:
    for place, dependency in enumerate(service.dependencies):
        path = ("services", name, "dependencies", place)
        if dependency == name:
            yield Finding(path, f"`{name}` depends on itself", "take the line out")
        elif dependency not in catalogue.services:
            hint = did_you_mean(dependency, catalogue.services) or "add it to the services"
            yield Finding(path, f"there is no service `{dependency}`", hint)
