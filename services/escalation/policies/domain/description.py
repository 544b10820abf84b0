"""A policy in words, for timelines and answers."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta

from services.escalation.policies.domain.page_order import Position
from services.escalation.policies.domain.snapshot import Snapshot


def describe_plan(plan: Snapshot, notes: Sequence[str]) -> list[str]:
    """What will happen while nobody acknowledges."""
    rounds = f"{plan.policy.rounds} rounds of policy {plan.name}, then one an hour"
    return [*notes, *_steps(plan), rounds]


def describe_remaining(plan: Snapshot, due: Position) -> list[str]:
    """The steps from `due` on, which an acknowledgement or a resolution cancels."""
    remaining = list(_steps(plan))[due.step - 1 :]
    return [f"round {due.round}: {step}" for step in remaining] + ["all later rounds"]


def join(names: Iterable[str]) -> str:
    """`ana and ben`."""
    return " and ".join(names)


def _steps(plan: Snapshot) -> Iterator[str]:
    for number, step in enumerate(plan.policy.steps, start=1):
        targets = join(target.replace(":", " ", 1) for target in step.targets)
        yield f"step {number}: {targets}; then {_duration(step.wait)} to acknowledge"


def _duration(span: timedelta) -> str:
    seconds = int(span.total_seconds())
    return f"{seconds // 60} min" if seconds % 60 == 0 else f"{seconds} s"
