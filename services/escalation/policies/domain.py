"""A policy walked step by step: where it stands, whom a step reaches at an instant, and all of it
in words.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import orjson
from pydantic import field_validator

from services.escalation.oncall.domain import next_opening, on_call
from services.escalation.oncall.policy import Schedule
from services.escalation.people.policy import Method
from services.escalation.policies.policy import EscalationPolicy, Step, Teams
from shared.events.facts import Model
from shared.policy.files import PolicyFile

RETRY = timedelta(minutes=5)
"""How long an incident waits when no step reaches anybody; shorter when a schedule's hours begin
before.
"""
SLOW_ROUND = timedelta(hours=1)
"""The pause before each round after the policy's last: an unanswered incident is never given up."""


class Position(NamedTuple):
    """A step of a round, both counted from 1."""

    round: int
    step: int


class Snapshot(Model):
    """The escalation policy as it was when the response started; `version` is that of teams.yaml
    then.
    """

    name: str
    version: str
    policy: EscalationPolicy

    @field_validator("policy", mode="before")
    @classmethod
    def _as_kept(cls, value: Any) -> Any:
        # In a file an unknown key is a slip; in a row it is what a newer version of this program
        # kept.
        return _policy(orjson.dumps(value)) if isinstance(value, dict) else value


@lru_cache(maxsize=256)  # thousands of incidents are kept with the same few
def _policy(kept: bytes) -> EscalationPolicy:
    return EscalationPolicy.model_validate(orjson.loads(kept), extra="ignore")


@dataclass(frozen=True, slots=True)
class PageOrder:
    """One page to make. The same incident, round, step, user and method give the same `attempt_key`
    after a crash.
    """

    attempt_key: str
    incident_id: UUID
    user: str
    method: Method
    step: int
    round: int
    why: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Walk:
    """What came of looking for the next step that reaches somebody.

    `begun` is the step that pages now (None: none does), `reached` its users with the reasons;
    `due` and `then` are when and where the walk goes on; `unreachable` says that no step reaches
    anybody now.
    """

    begun: Position | None
    reached: dict[str, tuple[str, ...]]
    skipped: tuple[str, ...]
    due: datetime
    then: Position
    waiting_on: str
    unreachable: bool = False


def snapshot(teams: PolicyFile[Teams], team: str) -> tuple[Snapshot, list[str]]:
    """The policy of a team; the default one, with a word on it, for a team that the file does not
    know.
    """
    known = teams.content.teams.get(team)
    name = known.policy if known else teams.content.default_policy
    notes = (
        [] if known else [f"team {team} is not in teams.yaml: the default policy {name} is used"]
    )
    return Snapshot(name=name, version=teams.version, policy=teams.content.policies[name]), notes


def page_order(
    incident_id: UUID, at: Position, user: str, method: Method, why: Sequence[str]
) -> PageOrder:
    """A page with its deterministic key."""
    key = f"{incident_id}.{at.round}.{at.step}.{user}.{method}"
    return PageOrder(key, incident_id, user, method, at.step, at.round, tuple(why))


def walk(plan: Snapshot, start: Position, teams: Teams, now: datetime) -> Walk:
    """Begin the step at `start`, or at once the next one that reaches somebody; stop where a step
    has to hold.
    """
    skipped: list[str] = []
    position, steps = start, plan.policy.steps
    for _ in steps:
        step = steps[position.step - 1]
        if step.hours and (opening := next_opening(step.hours, step.hours.time_zone, now)) > now:
            local = opening.astimezone(ZoneInfo(step.hours.time_zone))
            words = (
                f"step {position.step} holds until {local:%a %Y-%m-%d %H:%M} {step.hours.time_zone}"
            )
            return Walk(None, {}, tuple(skipped), opening, position, words)
        reached, misses = _reach(plan, position, teams, now)
        skipped += misses
        if reached:
            return _paging(plan, position, reached, skipped, now)
        position = _following(plan.policy, position)
    again = _retry_at(steps, teams, now)
    words = f"somebody that policy {plan.name} reaches: there is nobody now, it is tried again at {_utc(again)}"
    return Walk(None, {}, tuple(skipped), again, start, words, unreachable=True)


def _paging(
    plan: Snapshot,
    position: Position,
    reached: dict[str, tuple[str, ...]],
    skipped: Sequence[str],
    now: datetime,
) -> Walk:
    then = _following(plan.policy, position)
    wait = plan.policy.steps[position.step - 1].wait
    spent = then.step == 1 and then.round > plan.policy.rounds
    due = now + (max(wait, SLOW_ROUND) if spent else wait)
    words = f"{_and(reached)} to acknowledge; step {then.step} of round {then.round} begins at {_utc(due)}"
    if then.round > plan.policy.rounds:
        words += f" (all {plan.policy.rounds} rounds of policy {plan.name} go unanswered)"
    return Walk(position, reached, tuple(skipped), due, then, words)


def _following(policy: EscalationPolicy, at: Position) -> Position:
    return (
        Position(at.round, at.step + 1)
        if at.step < len(policy.steps)
        else Position(at.round + 1, 1)
    )


def _reach(
    plan: Snapshot, at: Position, teams: Teams, now: datetime
) -> tuple[dict[str, tuple[str, ...]], list[str]]:
    """The users that a step reaches now, each with the reasons, and what its other targets lack."""
    reached: dict[str, tuple[str, ...]] = {}
    misses = []
    for target in plan.policy.steps[at.step - 1].targets:
        user, words = _on_target(target, teams, now)
        if user is None:
            misses.append(f"step {at.step}: {words}")
        else:
            reason = f"step {at.step} of policy {plan.name}, round {at.round}: {words}"
            reached[user] = (*reached.get(user, ()), reason)
    return reached, misses


def _on_target(target: str, teams: Teams, now: datetime) -> tuple[str | None, str]:
    """The user behind a target and why; or None and why not. Users and schedules are those of the
    file as it is now.
    """
    kind, _, name = target.partition(":")
    if kind == "user":
        return (
            (name, f"user {name}")
            if name in teams.users
            else (None, f"user {name} is not in teams.yaml any more")
        )
    schedule = teams.schedules.get(name)
    if schedule is None:
        return None, f"schedule {name} is not in teams.yaml any more"
    turn = on_call(schedule, now)
    if turn is None:
        return None, f"nobody on call in schedule {name}"
    duty = f"{_local(turn.begins, schedule)} - {_local(turn.ends, schedule)} {schedule.time_zone}"
    return turn.user, f"schedule {name}, on call {duty}"


def _retry_at(steps: Sequence[Step], teams: Teams, now: datetime) -> datetime:
    names = [
        target.partition(":")[2]
        for step in steps
        for target in step.targets
        if target.startswith("schedule:")
    ]
    schedules = [teams.schedules[name] for name in names if name in teams.schedules]
    openings = [next_opening(item.hours, item.time_zone, now) for item in schedules if item.hours]
    return min([now + RETRY, *(opening for opening in openings if opening > now)])


def plan_in_words(plan: Snapshot, notes: Sequence[str]) -> list[str]:
    """What will happen while nobody acknowledges."""
    return [
        *notes,
        *_steps_in_words(plan),
        f"{plan.policy.rounds} rounds of policy {plan.name}, then one an hour",
    ]


def remaining_in_words(plan: Snapshot, due: Position) -> list[str]:
    """What does not happen any more when the plan is cut before `due`."""
    rest = list(_steps_in_words(plan))[due.step - 1 :]
    return [f"round {due.round}: {words}" for words in rest] + ["all later rounds"]


def _steps_in_words(plan: Snapshot) -> Iterator[str]:
    for number, step in enumerate(plan.policy.steps, start=1):
        targets = _and(target.replace(":", " ", 1) for target in step.targets)
        yield f"step {number}: {targets}; then {_span(step.wait)} to acknowledge"


def _and(names: Iterable[str]) -> str:
    return " and ".join(names)


def _span(span: timedelta) -> str:
    seconds = int(span.total_seconds())
    return f"{seconds // 60} min" if seconds % 60 == 0 else f"{seconds} s"


def _utc(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}Z"


def _local(at: datetime, schedule: Schedule) -> str:
    return f"{at.astimezone(ZoneInfo(schedule.time_zone)):%a %Y-%m-%d %H:%M}"
