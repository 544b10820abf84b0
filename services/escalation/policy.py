"""teams.yaml: who can be reached and how, who is on call when, and in which order an incident reaches them."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from services.escalation.values import WEEKDAYS, Address, Email, Handoff, Name, Target, WallTime, Weekday, Zone
from shared.policy_files import (
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

Method = Literal["webhook", "email"]


class User(PolicyModel):
    """A person. `methods` are tried in order: the next one when the one before has failed for good."""

    name: str
    email: Email = Field(repr=False)
    webhook: Address | None = Field(default=None, repr=False)
    time_zone: Zone = "UTC"
    methods: tuple[Method, ...] = Field(default=("webhook", "email"), min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _usable_methods(cls, data: Any) -> Any:
        if isinstance(data, dict) and "methods" not in data and not data.get("webhook"):
            return {**data, "methods": ("email",)}
        return data


class Team(PolicyModel):
    """A team and the escalation policy of its incidents."""

    policy: str


class Hours(PolicyModel):
    """A span of the day in local time, on the days where it begins. It runs past midnight when `to` <= `from`."""

    from_: WallTime = Field(alias="from")
    to: WallTime
    weekdays: tuple[Weekday, ...] = Field(default=WEEKDAYS, min_length=1)


class StepHours(Hours):
    """When a step may page; outside, it holds until they begin."""

    time_zone: Zone


class Schedule(PolicyModel):
    """Users who take turns. The first user's turn begins on `start`; turns before it are counted backwards.

    With `hours`, somebody is on call in them only.
    """

    time_zone: Zone
    rotation: Literal["daily", "weekly"]
    handoff: Handoff
    start: date
    users: tuple[str, ...] = Field(min_length=1)
    hours: Hours | None = None


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
    """The whole file. `default_policy` serves teams that this file does not know, so that nobody's incident waits."""

    default_policy: str
    users: dict[Name, User] = Field(min_length=1)
    schedules: dict[Name, Schedule] = {}
    policies: dict[Name, EscalationPolicy] = Field(min_length=1)
    teams: dict[Name, Team] = {}


WebhookCheck = Callable[[str], str | None]
"""Says why an address must not be called (the network policy), or None."""


def read_teams(data: bytes, webhook_check: WebhookCheck = lambda _: None) -> PolicyFile[Teams]:
    """teams.yaml, checked. Raises InvalidPolicy with all errors."""
    return read_policy(FILE, data, Teams, lambda teams: _findings(teams, webhook_check))


def check(directory: Path) -> list[PolicyError]:
    """All errors of teams.yaml in a policy folder, but for networks: which are permitted is set where it is used."""
    return check_file(directory / FILE, read_teams)


def _findings(teams: Teams, webhook_check: WebhookCheck) -> Iterator[Finding]:
    for name, user in teams.users.items():
        if "webhook" in user.methods and not user.webhook:
            yield Finding(("users", name, "methods"), f"user `{name}` has no `webhook`", "add its address")
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
                yield from _known(("policies", name, "steps", place, "targets", position), kind, target_id, known)


def _known(path: tuple[str | int, ...], kind: str, name: str, names: Iterable[str]) -> Iterator[Finding]:
    if name not in names:
        mend = did_you_mean(name, names) or f"known are {', '.join(sorted(names)) or 'none'}"
        yield Finding(path, f"there is no {kind} `{name}`", mend)


def _rotation(path: tuple[str | int, ...], schedule: Schedule) -> Iterator[Finding]:
    weekday = schedule.handoff.weekday
    if schedule.rotation == "daily" and weekday is not None:
        yield Finding((*path, "handoff"), "a daily handoff has no weekday", 'write "09:00"')
    if schedule.rotation == "weekly" and weekday is None:
        mend = f'write "{schedule.start:%a} {schedule.handoff.at:%H:%M}"'
        yield Finding((*path, "handoff"), "a weekly handoff needs its weekday", mend)
    if schedule.rotation == "weekly" and weekday is not None and weekday != schedule.start.weekday():
        begins = schedule.start + timedelta(days=(weekday - schedule.start.weekday()) % 7)
        message = f"{schedule.start} is a {schedule.start:%A}, not the day of the handoff"
        yield Finding((*path, "start"), message, f"write {begins}")
