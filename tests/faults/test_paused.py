"""Processes that are frozen for longer than others wait for them, and then continue as if nothing
had happened.
"""

import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import asyncpg
import pytest

from tests.faults.world import World
from tests.support.running import SERVICES, Truth, eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")
_WAITING = """
SELECT pid FROM pg_stat_activity
WHERE usename = 'tocsin_triage' AND wait_event_type = 'Lock'
    AND query LIKE '%FOR UPDATE OF offsets%'
"""  # a commit that notifies may wait for a lock as well, but holds no transaction open
_STILL_THERE = """
SELECT pid, state, query FROM pg_stat_activity WHERE pid = ANY($1)
"""


async def some_more_pages(world: World) -> None:
    """Wait for some pages, so that there is work in progress."""
    enough = len(world.receiver.received) + 3

    async def arrived() -> Truth:
        return Truth(
            len(world.receiver.received) >= enough, f"{len(world.receiver.received)} of {enough}"
        )

    await eventually(f"{enough} pages", arrived)


@asynccontextmanager
async def frozen(
    world: World, services: Sequence[str], admin: "asyncpg.Connection[asyncpg.Record]"
) -> AsyncIterator[list[int]]:
    """Processes frozen inside the block, triage in the middle of a batch; yields the sessions of
    its transaction.
    """

    async def waiting() -> list[int]:
        await admin.execute("SELECT pg_stat_clear_snapshot()")  # cached in a transaction otherwise
        return [row["pid"] for row in await admin.fetch(_WAITING)]

    try:
        async with admin.transaction():
            await admin.execute("SELECT FROM triage.offsets FOR UPDATE")
            sessions: list[int] = await eventually("triage is in a batch", waiting)
            for service in services:
                world.stack.send(service, signal.SIGSTOP)
        yield sessions
    finally:
        for service in services:
            world.stack.send(service, signal.SIGCONT)


async def test_late_writes_of_a_frozen_process_are_refused(world: World) -> None:
    stack, ports = world.stack, dict(world.stack.tocsin.ports)
    services = SERVICES if world.long else ("triage", "escalation")
    seconds = {service: stack.add_replica(service, "second") for service in services}
    log = stack.parts["triage"].log
    admin = await asyncpg.connect(stack.postgres.dsn())
    for number in range(4 if world.long else 1):
        async with world.load(f"frozen {number}"):
            await some_more_pages(world)
            pids = {service: stack.pid(service) for service in services}
            async with frozen(world, services, admin) as sessions:
                stack.tocsin.ports |= {service: second.port for service, second in seconds.items()}
                for second in seconds.values():
                    await stack.start(second)
                for second in seconds.values():
                    await stack.ready(second.name)  # after Kafka has expired the frozen ones
                await some_more_pages(world)

                async def ended(sessions: list[int] = sessions) -> Truth:
                    left = await admin.fetch(_STILL_THERE, sessions)
                    return Truth(not left, str(left))

                await eventually("the server has ended the frozen transaction", ended)
                before = len(log.read_bytes())

            async def refused(before: int = before) -> Truth:
                return Truth(
                    b"a batch failed and will be read again" in log.read_bytes()[before:],
                    "no such log line",
                )

            await eventually("the late write is refused", refused)
            await stack.ready()
            assert pids == {service: stack.pid(service) for service in services}, stack.messages
            stack.tocsin.ports |= ports
            for second in seconds.values():
                await stack.remove(second.name)
    await admin.close()
