"""Processes that are frozen for longer than anybody waits for them, and go on as if nothing had happened."""

import asyncio
import math
import signal

import pytest

from tests.faults.world import World
from tests.support.running import SERVICES, Truth, eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")
_SESSION_SECONDS = 10  # aiokafka's session time-out, which consumers do not change


async def some_more_pages(world: World) -> None:
    """Wait for them: there is work in hand then."""
    enough = len(world.receiver.received) + 3

    async def arrived() -> Truth:
        return Truth(len(world.receiver.received) >= enough, f"{len(world.receiver.received)} of {enough}")

    await eventually(f"{enough} pages", arrived, 60)


async def test_what_a_frozen_process_writes_late_is_refused(world: World) -> None:
    stack, ports = world.stack, dict(world.stack.tocsin.ports)
    seconds = {service: stack.add_replica(service, "second") for service in SERVICES}
    for _ in range(4 if world.long else 1):
        async with world.load("frozen"):
            for second in seconds.values():
                await stack.start(second)
            await stack.ready()
            await some_more_pages(world)
            frozen = {service: stack.send(service, signal.SIGSTOP) for service in SERVICES}
            stack.tocsin.ports |= {service: second.port for service, second in seconds.items()}
            await asyncio.sleep(_SESSION_SECONDS)
            await some_more_pages(world)  # the others have taken over

            for service in SERVICES:
                stack.send(service, signal.SIGCONT)
            await stack.ready()
            assert frozen == {service: stack.pid(service) for service in SERVICES}, stack.said
            stack.tocsin.ports |= ports
            for second in seconds.values():
                await stack.rest(second.name, math.inf)
                del stack.parts[second.name]
