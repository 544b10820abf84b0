"""teams.yaml: who can be reached and how, who is on call when, and in which order an incident
reaches them.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, Field

from services.escalation.oncall.policy import Schedule, StepHours
from services.escalation.people.policy import Methods, Name, Team, User, check_user, with_methods
from shared.policy.files import (
    Duration,
    Finding,
    PolicyFile,
    PolicyModel,
    did_you_mean,
    read_policy,
)
from shared.policy.secrets import WrittenRule

FILE = "teams.yaml"


def _target(value: str) -> str:
    if not re.fullmatch(r"(user|schedule):.+", value):
        raise ValueError("write a target as user:NAME or schedule:NAME")
    return value


Target = Annotated[str, AfterValidator(_target)]


class Step(PolicyModel):
    """Who is paged together, and how long they have before the next step."""

    targets: tuple[Target, ...] = Field(min_length=1)
    wait: Duration = Field(ge=timedelta(seconds=1), le=timedelta(days=7))
    hours: StepHours | None = None


class EscalationPolicy(PolicyModel):
    """The steps, and how many rounds of them follow closely on each other."""

    steps: tuple[Step, ...] = Field(min_length=1)
    rounds: int = Field(default=3, ge=1, le=100)


class Teams(PolicyModel):
    """The whole file. `default_policy` serves teams that this file does not know, so that nobody's
    incident waits.
    """

    default_policy: str
    users: dict[Name, User] = Field(min_length=1)
    schedules: dict[Name, Schedule] = {}
    policies: dict[Name, EscalationPolicy] = Field(min_length=1)
    teams: dict[Name, Team] = {}


CurrentTeams = Callable[[], PolicyFile[Teams]]
"""The teams file as it is now."""


def read_teams(data: bytes, methods: Methods) -> PolicyFile[Teams]:
    """teams.yaml, checked against the given methods. Raises InvalidPolicy with all errors."""
    file = read_policy(FILE, data, Teams, lambda teams: _findings(teams, methods))
    users = {name: with_methods(user, methods) for name, user in file.content.users.items()}
    return replace(file, content=file.content.model_copy(update={"users": users}))


def _findings(teams: Teams, methods: Methods) -> Iterator[Finding | WrittenRule]:
    for name, user in teams.users.items():
        yield from check_user(name, user, methods)
    for name, schedule in teams.schedules.items():
        yield from _rotation(("schedules", name), schedule)
        for place, user_id in enumerate(schedule.users):
            yield from _known(("schedules", name, "users", place), "user", user_id, teams.users)
    yield from _known(("default_policy",), "policy", teams.default_policy, teams.policies)
    for name, team in teams.teams.items():
        yield from _known(("teams", name, "policy"), "policy", team.policy, teams.policies)
    for name, policy in teams.policies.items():
        for place, step in enumerate(policy.steps):
            for position, target in enumerate(step.targets):
                kind, _, target_id = target.partition(":")
                known: Mapping[str, object] = teams.users if kind == "user" else teams.schedules
                yield from _known(
                    ("policies", name, "steps", place, "targets", position), kind, target_id, known
                )


def _known(
    path: tuple[str | int, ...], kind: str, name: str, names: Iterable[str]
) -> Iterator[Finding]:
    if name not in names:
        hint = did_you_mean(name, names) or f"known are {', '.join(sorted(names)) or 'none'}"
        yield Finding(path, f"there is no {kind} `{name}`", hint)


def _rotation(path: tuple[str | int, ...], schedule: Schedule) -> Iterator[Finding]:
    weekday = schedule.handoff.weekday
    if schedule.rotation == "daily" and weekday is not None:
        yield Finding((*path, "handoff"), "a daily handoff has no weekday", 'write "09:00"')
    if schedule.rotation == "weekly" and weekday is None:
        hint = f'write "{schedule.start:%a} {schedule.handoff.at:%H:%M}"'
        yield Finding((*path, "handoff"), "a weekly handoff needs its weekday", hint)
    if schedule.rotation == "weekly" and weekday is not None:
        days = (weekday - schedule.start.weekday()) % 7
        if days:
            message = f"{schedule.start} is a {schedule.start:%A}, not the day of the handoff"
            hint = f"write {schedule.start + timedelta(days=days)}"
            yield Finding((*path, "start"), message, hint)
