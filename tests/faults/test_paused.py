"""Processes that are frozen for longer than anybody waits for them, and go on as if nothing had happened."""

import math
import signal
from collections.abc import Sequence

import asyncpg
import pytest

from tests.faults.world import World
from tests.support.running import SERVICES, Truth, eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")
_WAITING = "SELECT pid FROM pg_stat_activity WHERE usename = 'tocsin_triage' AND wait_event_type = 'Lock'"
_STILL_THERE = "SELECT pid FROM pg_stat_activity WHERE pid = ANY($1)"


async def some_more_pages(world: World) -> None:
    """Wait for them: there is work in hand then."""
    enough = len(world.receiver.received) + 3

    async def arrived() -> Truth:
        return Truth(len(world.receiver.received) >= enough, f"{len(world.receiver.received)} of {enough}")

    await eventually(f"{enough} pages", arrived, 60)


async def freeze(world: World, services: Sequence[str], admin: "asyncpg.Connection[asyncpg.Record]") -> list[int]:
    """Freeze processes, triage in the middle of a batch; returns the sessions in which it was about to write."""

    async def waiting() -> list[int]:
        return [row["pid"] for row in await admin.fetch(_WAITING)]

    async with admin.transaction():
        await admin.execute("SELECT FROM triage.offsets FOR UPDATE")
        sessions: list[int] = await eventually("triage is in a batch", waiting, 60)
        for service in services:
            world.stack.send(service, signal.SIGSTOP)
    return sessions


async def test_what_a_frozen_process_writes_late_is_refused(world: World) -> None:
    stack, ports = world.stack, dict(world.stack.tocsin.ports)
    services = SERVICES if world.long else ("triage", "escalation")
    seconds = {service: stack.add_replica(service, "second") for service in services}
    log = stack.parts["triage"].log
    admin = await asyncpg.connect(stack.postgres.dsn())
    for number in range(4 if world.long else 1):
        async with world.load(f"frozen {number}"):
            await some_more_pages(world)
            pids = {service: stack.pid(service) for service in services}
            sessions = await freeze(world, services, admin)
            stack.tocsin.ports |= {service: second.port for service, second in seconds.items()}
            for second in seconds.values():
                await stack.start(second)
            for second in seconds.values():
                await stack.ready(second.name)  # once Kafka has taken the frozen ones for dead
            await some_more_pages(world)

            async def ended(sessions: list[int] = sessions) -> Truth:
                left = await admin.fetch(_STILL_THERE, sessions)
                return Truth(not left, str(left))

            await eventually("the server has ended the frozen transaction", ended)
            before = len(log.read_bytes())
            for service in services:
                stack.send(service, signal.SIGCONT)

            async def refused(before: int = before) -> Truth:
                return Truth(b"a batch failed and will be read again" in log.read_bytes()[before:], "no such word")

            await eventually("the late write is refused", refused)
            await stack.ready()
            assert pids == {service: stack.pid(service) for service in services}, stack.said
            stack.tocsin.ports |= ports
            for second in seconds.values():
                await stack.rest(second.name, math.inf)
                del stack.parts[second.name]
    await admin.close()
