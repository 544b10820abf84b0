"""kill -9 of every service, again and again, under 2,000 signals: what was accepted is accounted for."""

import asyncio
import random
from dataclasses import replace

from tests.faults.storm import Storm, make_signals
from tests.support.checker import complaints
from tests.support.evidence import checking
from tests.support.running import SERVICES, Receiver, Running, Truth, eventually

SEED = 20260303
SIGNALS_SENT = 2000
OUTAGES = 30
STRIKES = 2


async def strike(tocsin: Running, victim: str, storm: Storm, receiver: Receiver, dice: random.Random) -> None:
    """Kill a service in the middle of it: escalation as a page has just arrived, others after some more signals."""
    pages, signals = len(receiver.received) + dice.randint(1, 4), len(storm.accepted.signals) + dice.randint(10, 100)

    async def paged() -> Truth:
        return Truth(len(receiver.received) >= pages, f"{len(receiver.received)} pages")

    if victim == "escalation":
        await eventually(f"{pages} pages", paged)
    else:
        await eventually(f"{signals} signals", lambda: storm.reached(signals))
    await tocsin.kill(victim)
    await tocsin.start(victim)
    await tocsin.ready(victim)


async def test_nothing_accepted_is_lost_and_no_step_pages_twice(
    kafka: str, database: str, topic_prefix: str, tocsin: Running, receiver: Receiver, storm: Storm
) -> None:
    dice = random.Random(SEED)  # noqa: S311 - the same storm every time
    signals = make_signals(SIGNALS_SENT, OUTAGES, dice)
    victims = dice.sample(SERVICES * STRIKES, len(SERVICES) * STRIKES)
    size = len(signals) // len(victims)
    for number, victim in enumerate(victims):
        async with asyncio.TaskGroup() as group:
            group.create_task(strike(tocsin, victim, storm, receiver, dice))
            group.create_task(storm.send(signals[number * size : (number + 1) * size]))
    assert len(storm.accepted.signals) == SIGNALS_SENT

    async with checking(kafka, database, topic_prefix) as checker:
        await storm.pass_over(checker)
        evidence = await checker.evidence(receiver.received)
    assert len(evidence.tables["intake"]) == 2 * OUTAGES
    assert storm.accepted.acknowledged
    assert complaints(evidence, storm.accepted) == []

    # The checker is not blind: it misses a page that did not arrive, and sees one that came twice.
    without = replace(evidence, pages=[page for page in evidence.pages if page.body["data"]["step"] != 1])
    assert len(complaints(without, storm.accepted)) >= 2 * OUTAGES
    twice = replace(evidence, pages=[*evidence.pages, *evidence.pages])
    assert complaints(twice, storm.accepted)
