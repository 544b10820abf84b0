"""Composition root of intake: the only place where its objects are built."""

import asyncio
import logging
from collections.abc import Callable

from services.intake.gateways.http import create_api
from services.intake.handlers import Intake
from services.intake.incidents import store
from services.intake.incidents.policy import FILE, IntakePolicy, read_intake_policy
from services.intake.keys.key_ring import KeyRing
from services.intake.signals.group_commit import GroupCommit
from shared.events import escalation
from shared.kafka.consumption import Consumption
from shared.kafka.redrive import with_redrive
from shared.kafka.topics import SIGNALS
from shared.policy.watch import PolicyWatch
from shared.postgres.database import Database
from shared.postgres.errors import UNAVAILABLE
from shared.postgres.relay import Relay
from shared.postgres.timers import Ticker
from shared.postgres.wake import Wake
from shared.runtime.clock import Clock, system_clock
from shared.runtime.service import Component, run_service
from shared.runtime.settings import Settings

log = logging.getLogger(__name__)
NAME = "intake"
_PRUNE_EVERY_SECONDS = 600
# Where processors are short, what was taken in is paged before more is taken in: senders wait a
# little longer for their answer, instead of thousands of pages each waiting for seconds.
_NICENESS = 3


async def run(settings: Settings) -> None:
    """Serve until told to stop. Raises InvalidPolicy when there is no good policy."""
    clock = system_clock
    database = Database(settings.dsn(NAME), application=f"tocsin-{NAME}")
    policy = PolicyWatch(settings.policy_dir / FILE, read_intake_policy, database, optional=True)
    await policy.start()
    wake = Wake(database.dsn, NAME)
    intake = Intake(lambda: policy.current.content, clock)
    commit = GroupCommit(database, intake)
    app = create_api(KeyRing(database, clock), commit.submit, clock)
    components: dict[str, Component] = {
        "commit": commit,
        "consumption": Consumption(
            database,
            bootstrap=settings.kafka,
            group=NAME,
            handlers=with_redrive(
                NAME, {SIGNALS: intake.on_signals, escalation.TOPIC: intake.on_escalation}
            ),
            clock=clock,
            topic_prefix=settings.topic_prefix,
            instance_id=settings.instance,
            kafka_required=False,  # the HTTP side goes on without it
        ),
        "relay": Relay(database.dsn, settings.kafka, NAME, clock, settings.topic_prefix),
        "timers": Ticker(database, intake.fire, clock, wake.subscribe("timers")),
        "policy": policy,
        "wake": wake,
        "prune": Prune(database, lambda: policy.current.content, clock),
    }
    await run_service(NAME, settings, app, database, components, niceness=_NICENESS)


class Prune:
    """Forgets signals that are older than the window in which repeats are recognised."""

    def __init__(
        self, database: Database, policy: Callable[[], IntakePolicy], clock: Clock
    ) -> None:
        self._database = database
        self._policy = policy
        self._clock = clock

    async def run(self) -> None:
        """Prune now and then until cancelled."""
        while True:
            try:
                before = self._clock() - self._policy().duplicate_window
                async with self._database.connection() as connection:
                    while await store.delete_old_signals(connection, before):
                        pass
                    await store.delete_resolved_ahead(connection, before)
            except UNAVAILABLE as error:
                log.warning("old signals stay for now", extra={"error": type(error).__qualname__})
            await asyncio.sleep(_PRUNE_EVERY_SECONDS)

    def problems(self) -> list[str]:
        """None: what stays too long costs space only."""
        return []
