"""The policy that a response follows: a copy from the moment it started."""

from functools import lru_cache
from typing import Any

import orjson
from pydantic import field_validator

from services.escalation.policies.policy import EscalationPolicy, Teams
from shared.events.facts import Model
from shared.policy.files import PolicyFile


class Snapshot(Model):
    """The escalation policy as it was when the response started; `version` is that of teams.yaml
    then.
    """

    name: str
    version: str
    policy: EscalationPolicy

    @field_validator("policy", mode="before")
    @classmethod
    def _read_stored(cls, value: Any) -> Any:
        # An unknown key in a file is a mistake; in a row it was stored by a newer version.
        return _policy(orjson.dumps(value)) if isinstance(value, dict) else value


@lru_cache(maxsize=256)  # thousands of incidents are stored with the same few policies
def _policy(stored: bytes) -> EscalationPolicy:
    return EscalationPolicy.model_validate(orjson.loads(stored), extra="ignore")


def snapshot(teams: PolicyFile[Teams], team: str) -> tuple[Snapshot, list[str]]:
    """The policy of a team; for a team that is not in the file the default one, with a note that
    says so.
    """
    known = teams.content.teams.get(team)
    name = known.policy if known else teams.content.default_policy
    notes = []
    if known is None:
        notes.append(f"team {team} is not in teams.yaml: the default policy {name} is used")
    return Snapshot(name=name, version=teams.version, policy=teams.content.policies[name]), notes
