"""Retention as part of a service: the policy file, and the component that follows it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from shared.policy.files import PolicyFile
from shared.policy.retention import FILE, Periods, RetentionPlan, Texts, make_plan, read_retention
from shared.policy.watch import PolicyWatch
from shared.postgres.aging import Aging
from shared.postgres.database import Database
from shared.postgres.retention import Retention
from shared.runtime.clock import Clock
from shared.runtime.health import Component
from shared.runtime.settings import Settings


async def start_retention(
    service: str,
    settings: Settings,
    database: Database,
    clock: Clock,
    agings: Sequence[Aging],
    periods: Callable[[Texts], Periods],
    *others: PolicyWatch[Any],
) -> Mapping[str, Component]:
    """The components by name. `others` are the policy files that `periods` reads beside
    retention.yaml. Raises InvalidPolicy when there is no good retention.yaml.
    """
    policy = PolicyWatch(settings.policy_dir / FILE, read_retention, database, optional=True)
    await policy.start()

    def plan() -> RetentionPlan:
        files: list[PolicyFile[Any]] = [watch.current for watch in (policy, *others)]
        return make_plan({file.name: file.text.encode() for file in files}, periods)

    component = Retention(service, database, agings, plan, clock)
    return {"retention_policy": policy, "retention": component}
