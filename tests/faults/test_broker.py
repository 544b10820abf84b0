"""Kafka is restarted, killed or away: signals are accepted and due timers page all the same."""

import asyncio
import math
import signal

import pytest

from tests.faults.world import World
from tests.support.running import Truth, alert, eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")
_AWAY_SECONDS = 60


async def test_a_broker_that_is_restarted_or_killed_loses_nothing(world: World) -> None:
    async with world.load("broker restarted"):
        for number in (signal.SIGTERM, signal.SIGKILL) * 3 if world.long else (signal.SIGKILL,):
            old = world.stack.send("kafka", number)
            await world.stack.renewed("kafka", old)
            await world.stack.ready()


async def test_without_a_broker_signals_are_accepted_and_due_timers_page(world: World) -> None:
    stack, tocsin = world.stack, world.stack.tocsin
    async with world.load("broker away"):
        world.storm.responds = False  # nobody acknowledges this one
        world.storm.accepted.signals.add(("tests /probe", "before the broker went away"))
        answer = await tocsin.signals(alert("before the broker went away"))
        incident = answer["signals"][0]["subject"]

        async def paged(step: int) -> Truth:
            steps = [
                p.body["data"]["step"]
                for p in world.receiver.received
                if p.body["data"]["incident_id"] == incident
            ]
            return Truth(step in steps, str(steps))

        await eventually("the first step pages", lambda: paged(1))
        await stack.suspend("kafka", math.inf)
        stopped_at = asyncio.get_running_loop().time()
        await eventually("the second step pages without Kafka", lambda: paged(2))
        world.storm.responds = True

        # A restarted process works without it, too.
        await stack.renewed("intake", stack.send("intake", signal.SIGKILL))
        expected = len(world.storm.accepted.signals) + 100
        await eventually("signals are accepted", lambda: world.storm.reached(expected))
        if world.long:
            await asyncio.sleep(stopped_at + _AWAY_SECONDS - asyncio.get_running_loop().time())
        await stack.suspend("kafka", 0)
        await stack.ready()
