"""Kafka that is restarted, killed, or away: signals are taken and due timers page all the same."""

import asyncio
import signal

import pytest

from tests.faults.world import World
from tests.support.running import Truth, alert, eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_broker_that_is_restarted_or_killed_loses_nothing(world: World) -> None:
    async with world.load("broker restarted"):
        for number in (signal.SIGTERM, signal.SIGKILL) * (3 if world.long else 1):
            old = world.stack.send("kafka", number)
            await world.stack.renewed("kafka", old)
            await world.stack.ready()


async def test_without_a_broker_signals_are_taken_and_due_timers_page(world: World) -> None:
    stack, tocsin = world.stack, world.stack.tocsin
    async with world.load("broker away"):
        world.storm.takes = False  # nobody takes this one
        world.storm.accepted.signals.add(("tests /probe", "before it went"))
        answer = await tocsin.signals(alert("before it went"))
        incident = answer["signals"][0]["subject"]

        async def paged(step: int) -> Truth:
            steps = [
                p.body["data"]["step"] for p in world.receiver.received if p.body["data"]["incident_id"] == incident
            ]
            return Truth(step in steps, str(steps))

        await eventually("the first step pages", lambda: paged(1), 60)
        away = asyncio.get_running_loop().time() + (60 if world.long else 10)
        await stack.rest("kafka", away - asyncio.get_running_loop().time())
        await eventually("the second step pages without Kafka", lambda: paged(2), 60)
        world.storm.takes = True

        # A new process needs it no more than an old one.
        await stack.renewed("intake", stack.send("intake", signal.SIGKILL))
        taken = len(world.storm.accepted.signals)

        async def taking() -> Truth:
            return Truth(len(world.storm.accepted.signals) > taken + 100, "")

        await eventually("signals are taken", taking, 60)
        assert asyncio.get_running_loop().time() < away, "all this was without Kafka"
