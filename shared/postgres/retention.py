"""Deletes what the retention policy keeps no longer, and says so in the audit log."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from shared.events.facts import event_message, new_event
from shared.events.ids import uuid7
from shared.events.message import OutboxMessage
from shared.events.operations import AgedRows, RetentionApplied
from shared.policy.retention import RetentionPlan
from shared.postgres.aging import (
    Aging,
    Run,
    Schedule,
    delete_aged,
    end_run,
    load_schedule,
    lock_schedule,
    save_run,
)
from shared.postgres.connection import Connection
from shared.postgres.database import Database
from shared.postgres.errors import UNAVAILABLE
from shared.runtime.clock import Clock
from shared.telemetry import Level, measure
from shared.telemetry.metrics import RETENTION_DELETED, RETENTION_FINISHED

log = logging.getLogger(__name__)
_BETWEEN_BATCHES_SECONDS = 0.1  # others use the disk too
_AFTER_CORRECTION = timedelta(minutes=1)  # until all replicas have the new policy
_LONGEST_SLEEP_SECONDS = 600.0  # after which a run that another replica left is taken over


class Retention:
    """A component. Each run deletes in many small transactions; its row in the table `retention`
    is locked and moved on in each of them, so that only one replica works on it, and a crash loses
    no count: whoever comes next goes on where the last transaction ended. The last one writes the
    event that tells of the run.
    """

    def __init__(
        self,
        service: str,
        database: Database,
        agings: Sequence[Aging],
        plan: Callable[[], RetentionPlan],
        clock: Clock,
        pause_seconds: float = _BETWEEN_BATCHES_SECONDS,
    ) -> None:
        self._service = service
        self._database = database
        self._agings = agings
        self._plan = plan
        self._clock = clock
        self._pause_seconds = pause_seconds
        self._finished_at: datetime | None = None

    async def run(self) -> None:
        """Delete and sleep until cancelled."""
        while True:
            seconds = _LONGEST_SLEEP_SECONDS
            try:
                seconds = await self.step()
            except UNAVAILABLE as error:
                log.warning("old rows stay for now", extra={"error": type(error).__qualname__})
            await asyncio.sleep(seconds)

    def problems(self) -> list[str]:
        """None: what stays too long costs space only."""
        return []

    def levels(self) -> list[Level]:
        """When the last run ended, if there was one."""
        ended = self._finished_at
        return [Level(RETENTION_FINISHED, ended.timestamp())] if ended else []

    async def step(self) -> float:
        """One transaction of a run that is due; returns the seconds until the next one."""
        async with self._database.transaction() as connection:
            schedule = await lock_schedule(connection)
            if schedule is None:
                self._finished_at = (await load_schedule(connection)).finished_at
                return _LONGEST_SLEEP_SECONDS
            self._finished_at = schedule.finished_at
            wait = (schedule.due_at - self._clock()).total_seconds()
            if schedule.run is None and wait > 0:
                return min(wait, _LONGEST_SLEEP_SECONDS)
            return await self._work(connection, schedule)

    async def _work(self, connection: Connection, schedule: Schedule) -> float:
        plan, now = self._plan(), self._clock()
        run = schedule.run or Run(
            started_at=now,
            policy_version=plan.version,
            older_than={aging.kind: now - plan.periods[aging.kind] for aging in self._agings},
            deleted={},
        )
        # A run does what the policy says that it began with: a correction ends it.
        corrected = run.policy_version != plan.version
        if corrected or run.place == len(self._agings):
            due_at = now + _AFTER_CORRECTION if corrected else run.started_at + plan.every
            await end_run(connection, retention_applied(self._service, run, now), due_at, now)
            self._finished_at = now
            return self._pause_seconds
        aging = self._agings[run.place]
        before = sum(run.deleted.get(aging.kind, {}).values())
        if not await delete_aged(connection, aging, run):
            run.place, run.block = run.place + 1, 0
        deleted = sum(run.deleted.get(aging.kind, {}).values()) - before
        measure(RETENTION_DELETED, deleted, aging.kind)
        await save_run(connection, run)
        return self._pause_seconds


def retention_applied(service: str, run: Run, now: datetime) -> OutboxMessage:
    """The event that tells of a run."""
    fact = RetentionApplied(
        service=service,
        policy_version=run.policy_version,
        started_at=run.started_at,
        finished_at=now,
        rows=[
            AgedRows(kind=kind, older_than=older_than, deleted=run.deleted.get(kind, {}))
            for kind, older_than in run.older_than.items()
        ],
    )
    return event_message(new_event(uuid7(), 1, now, fact, None))
