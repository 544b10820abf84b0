"""The signals of many requests in one transaction: races and deadlocks are not the senders'
concern.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress

import asyncpg

from services.intake.signals.domain import Identity, Signal, Taken
from services.intake.signals.group_commit import GroupCommit
from shared.postgres.connection import Connection
from tests.integration.intake.conftest import World, fired


async def test_a_deadlock_between_writers_costs_senders_nothing(world: World) -> None:
    victims = ["the first transaction"]

    async def unlucky(
        connection: Connection, signals: Sequence[Signal]
    ) -> Mapping[Identity, Taken]:
        taken = await world.handlers.take(connection, signals)
        if victims:
            raise asyncpg.DeadlockDetectedError(victims.pop())
        return taken

    commit = GroupCommit(world.database, unlucky)
    task = asyncio.create_task(commit.run())
    taken = await commit.submit([fired("1")])
    assert [one.decision for one in taken.values()] == ["opened"]
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
