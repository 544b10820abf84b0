"""A policy followed step by step: the next step that reaches somebody, whom, and why."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from services.escalation.oncall.domain import next_opening, on_call
from services.escalation.oncall.policy import Schedule
from services.escalation.policies.domain.description import join
from services.escalation.policies.domain.page_order import Position
from services.escalation.policies.domain.snapshot import Snapshot
from services.escalation.policies.policy import EscalationPolicy, Step, Teams

RETRY = timedelta(minutes=5)
"""How long an incident waits when no step reaches anybody. It is shorter when a schedule's hours
begin before.
"""
SLOW_ROUND = timedelta(hours=1)
"""The pause before each round after the policy's last: an unanswered incident is never given up."""


@dataclass(frozen=True, slots=True)
class Walk:
    """The next step that reaches somebody.

    `begun` is the step that pages now (None: no step does), `reached` its users with the reasons;
    `due` and `then` are when and where the policy continues; `unreachable` says that no step
    reaches anybody now.
    """

    begun: Position | None
    reached: dict[str, tuple[str, ...]]
    skipped: tuple[str, ...]
    due: datetime
    then: Position
    waiting_on: str
    unreachable: bool = False


def walk(plan: Snapshot, start: Position, teams: Teams, now: datetime) -> Walk:
    """Begin the step at `start`, or at once the next one that reaches somebody. Stop at a step
    whose hours have not begun.
    """
    skipped: list[str] = []
    position, steps = start, plan.policy.steps
    for _ in steps:
        step = steps[position.step - 1]
        if step.hours and (opening := next_opening(step.hours, step.hours.time_zone, now)) > now:
            local = opening.astimezone(ZoneInfo(step.hours.time_zone))
            until = f"{local:%a %Y-%m-%d %H:%M} {step.hours.time_zone}"
            words = f"step {position.step} holds until {until}"
            return Walk(None, {}, tuple(skipped), opening, position, words)
        reached, missed = _reach(plan, position, teams, now)
        skipped += missed
        if reached:
            return _paging(plan, position, reached, skipped, now)
        position = _following(plan.policy, position)
    again = _retry_at(steps, teams, now)
    words = (
        f"somebody that policy {plan.name} reaches: there is nobody now, it is tried again at "
        f"{describe_instant(again)}"
    )
    return Walk(None, {}, tuple(skipped), again, start, words, unreachable=True)


def describe_instant(at: datetime) -> str:
    """`2026-03-01 12:00:00Z`."""
    return f"{at:%Y-%m-%d %H:%M:%S}Z"


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
    words = (
        f"{join(reached)} to acknowledge; step {then.step} of round {then.round} begins at "
        f"{describe_instant(due)}"
    )
    if then.round > plan.policy.rounds:
        words += f" (all {plan.policy.rounds} rounds of policy {plan.name} go unanswered)"
    return Walk(position, reached, tuple(skipped), due, then, words)


def _following(policy: EscalationPolicy, at: Position) -> Position:
    if at.step < len(policy.steps):
        return Position(at.round, at.step + 1)
    return Position(at.round + 1, 1)


def _reach(
    plan: Snapshot, at: Position, teams: Teams, now: datetime
) -> tuple[dict[str, tuple[str, ...]], list[str]]:
    """The users that a step reaches now, with the reasons; and why other targets reach nobody."""
    reached: dict[str, tuple[str, ...]] = {}
    missed = []
    for target in plan.policy.steps[at.step - 1].targets:
        user, words = _user_of(target, teams, now)
        if user is None:
            missed.append(f"step {at.step}: {words}")
        else:
            reason = f"step {at.step} of policy {plan.name}, round {at.round}: {words}"
            reached[user] = (*reached.get(user, ()), reason)
    return reached, missed


def _user_of(target: str, teams: Teams, now: datetime) -> tuple[str | None, str]:
    """The user behind a target and why; or None and why not. Users and schedules are those of the
    file as it is now.
    """
    kind, _, name = target.partition(":")
    if kind == "user":
        if name in teams.users:
            return name, f"user {name}"
        return None, f"user {name} is not in teams.yaml any more"
    schedule = teams.schedules.get(name)
    if schedule is None:
        return None, f"schedule {name} is not in teams.yaml any more"
    turn = on_call(schedule, now)
    if turn is None:
        return None, f"nobody on call in schedule {name}"
    duty = f"{_local(turn.begins, schedule)} - {_local(turn.ends, schedule)} {schedule.time_zone}"
    return turn.user, f"schedule {name}, on call {duty}"


def _retry_at(steps: Sequence[Step], teams: Teams, now: datetime) -> datetime:
    instants = [now + RETRY]
    for target in (target for step in steps for target in step.targets):
        kind, _, name = target.partition(":")
        schedule = teams.schedules.get(name) if kind == "schedule" else None
        if schedule and schedule.hours:
            instants.append(next_opening(schedule.hours, schedule.time_zone, now))
    return min(instant for instant in instants if instant > now)


def _local(at: datetime, schedule: Schedule) -> str:
    return f"{at.astimezone(ZoneInfo(schedule.time_zone)):%a %Y-%m-%d %H:%M}"
