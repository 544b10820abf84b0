"""kill -9 of every service, many times: whatever was accepted is accounted for."""

import asyncio
import random
import signal
from dataclasses import replace

import pytest

from tests.faults.world import World
from tests.support.checker import complaints
from tests.support.running import SERVICES, Truth, eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")
SEED = 20260303


async def kill_at_work(world: World, victim: str, dice: random.Random) -> None:
    """Kill a service while it works: escalation after a page has arrived, others after some more
    signals.
    """
    received, signals = world.receiver.received, world.storm.accepted.signals
    seen = received if victim == "escalation" else signals
    enough = len(seen) + dice.randint(1, 4 if victim == "escalation" else 60)

    async def reached() -> Truth:
        return Truth(len(seen) >= enough, f"{len(seen)} of {enough}")

    await eventually("the victim is at work", reached)
    await world.stack.renewed(victim, world.stack.send(victim, signal.SIGKILL))


async def test_services_that_are_killed_lose_nothing_and_no_step_pages_twice(world: World) -> None:
    dice = random.Random(SEED)  # noqa: S311 - the same in every run
    async with world.load("killed"):
        if world.long:
            for victim in dice.sample(SERVICES * 5, len(SERVICES) * 5):
                await kill_at_work(world, victim, dice)
        await asyncio.gather(*(kill_at_work(world, victim, dice) for victim in SERVICES))
    assert world.storm.accepted.acknowledged

    # The checker works: it notices pages that did not arrive and pages that arrived twice.
    evidence, accepted = await world.judge(), world.storm.accepted
    without = replace(
        evidence, pages=[page for page in evidence.pages if page.body["data"]["step"] != 1]
    )
    assert complaints(without, accepted)
    twice = replace(evidence, pages=[*evidence.pages, *evidence.pages])
    assert complaints(twice, accepted)
