"""integrations.yaml: integrations and their settings. The file may be missing; keys are made by
command.
"""

from collections.abc import Collection, Iterator

from services.intake.integrations.domain import Settings
from services.intake.integrations.domain.integration import Name
from shared.policy.files import Finding, PolicyFile, PolicyModel, did_you_mean, read_policy

FILE = "integrations.yaml"
TEAMS_FILE = "teams.yaml"


class Integrations(PolicyModel):
    """The whole file: integrations by name."""

    integrations: dict[Name, Settings] = {}


def read_integrations(
    data: bytes, teams: Collection[str] | None = None, gateways: Collection[str] | None = None
) -> PolicyFile[Integrations]:
    """integrations.yaml, checked; with `teams` and `gateways`, those that it names have to be among
    them. Raises InvalidPolicy with all errors.
    """
    return read_policy(FILE, data, Integrations, lambda file: _findings(file, teams, gateways))


def _findings(
    file: Integrations, teams: Collection[str] | None, gateways: Collection[str] | None
) -> Iterator[Finding]:
    for name, settings in file.integrations.items():
        for field, value, known, where in (
            ("team", settings.team, teams, TEAMS_FILE),
            ("gateway", settings.gateway, gateways, "this installation"),
        ):
            if known is not None and value is not None and value not in known:
                hint = did_you_mean(value, known) or f"use one of {', '.join(sorted(known))}"
                message = f"there is no {field} `{value}` in {where}"
                yield Finding(("integrations", name, field), message, hint)
