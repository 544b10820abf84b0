"""teams.yaml: who can be reached and how, who is on call when, and in which order an incident
reaches them.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from services.escalation.oncall.policy import Schedule, StepHours
from services.escalation.people.policy import Name, Team, User
from shared.policy.files import (
    Duration,
    Finding,
    PolicyError,
    PolicyFile,
    PolicyModel,
    check_file,
    did_you_mean,
    read_policy,
)

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

WebhookCheck = Callable[[str], str | None]
"""Says why an address must not be called (the network policy), or None."""


def read_teams(data: bytes, webhook_check: WebhookCheck = lambda _: None) -> PolicyFile[Teams]:
    """teams.yaml, checked. Raises InvalidPolicy with all errors."""
    return read_policy(FILE, data, Teams, lambda teams: _findings(teams, webhook_check))


def check(directory: Path) -> list[PolicyError]:
    """All errors of teams.yaml in a policy folder, but for networks: which are permitted is set
    where it is used.
    """
    return check_file(directory / FILE, read_teams)


def _findings(teams: Teams, webhook_check: WebhookCheck) -> Iterator[Finding]:
    for name, user in teams.users.items():
        if "webhook" in user.methods and not user.webhook:
            yield Finding(
                ("users", name, "methods"), f"user `{name}` has no `webhook`", "add its address"
            )
        if user.webhook and (refused := webhook_check(user.webhook)):
            yield Finding(("users", name, "webhook"), f"the webhook of `{name}` {refused}")
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
    if (
        schedule.rotation == "weekly"
        and weekday is not None
        and weekday != schedule.start.weekday()
    ):
        begins = schedule.start + timedelta(days=(weekday - schedule.start.weekday()) % 7)
        message = f"{schedule.start} is a {schedule.start:%A}, not the day of the handoff"
        yield Finding((*path, "start"), message, f"write {begins}")
