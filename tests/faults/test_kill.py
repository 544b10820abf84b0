"""kill -9 of every service, again and again, under 2,000 signals: what was accepted is accounted for."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from shared.topics import SIGNALS
from tests.faults.storm import Storm, make_signals
from tests.support.checker import complaints
from tests.support.evidence import checking
from tests.support.running import SERVICES, Receiver, Running, eventually, running

SEED = 20260303
SIGNALS_SENT = 2000
OUTAGES = 30
STRIKES = 2
CATALOGUE = """
default_team: payments
services:
  checkout: {team: payments, tier: 1}
  search: {team: payments, tier: 3}
"""
TEAMS = """
default_policy: payments
users:
  ana: {name: Ana, email: ana@example.com, webhook: "URL/ana", methods: [webhook]}
  ben: {name: Ben, email: ben@example.com, webhook: "URL/ben", methods: [webhook]}
teams:
  payments: {policy: payments}
policies:
  payments:
    rounds: 1
    steps:
      - {targets: ["user:ana"], wait: 3s}
      - {targets: ["user:ana", "user:ben"], wait: 1h}
"""
INTAKE = "update_interval: 1s\n"


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver().listening() as receiver:
        yield receiver


@pytest.fixture
async def tocsin(
    kafka: str, database: str, topic_prefix: str, tmp_path: Path, receiver: Receiver
) -> AsyncIterator[Running]:
    policy = {"catalogue.yaml": CATALOGUE, "teams.yaml": TEAMS.replace("URL", receiver.url), "intake.yaml": INTAKE}
    async with running(kafka, database, topic_prefix, tmp_path, policy, TOCSIN_WEBHOOK_TIMEOUT="1") as stack:
        yield stack


@pytest.fixture
async def storm(tocsin: Running, kafka: str, topic_prefix: str, receiver: Receiver) -> AsyncIterator[Storm]:
    async with AIOKafkaProducer(bootstrap_servers=kafka, enable_idempotence=True, linger_ms=0) as producer:
        storm = Storm(tocsin, producer, topic_prefix + SIGNALS)
        receiver.answer = storm.page
        responder = asyncio.create_task(storm.take_some())
        yield storm
        responder.cancel()
        with suppress(asyncio.CancelledError):
            await responder


async def strike(tocsin: Running, victim: str, storm: Storm, receiver: Receiver, dice: random.Random) -> None:
    """Kill a service in the middle of it: escalation as a page has just arrived, others after some more signals."""
    if victim == "escalation":
        pages = len(receiver.received) + dice.randint(1, 4)
        await eventually("the moment to strike", lambda: _true(len(receiver.received) >= pages))
    else:
        signals = len(storm.accepted.signals) + dice.randint(10, 100)
        await eventually("the moment to strike", lambda: _true(len(storm.accepted.signals) >= signals))
    await tocsin.kill(victim)
    await tocsin.start(victim)
    await tocsin.ready(victim)


async def _true(value: bool) -> bool:
    return value


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
        await eventually("all has come to rest", checker.settled, 60)
        await storm.pages.join()
        await eventually("the last acknowledgement has come to rest", checker.settled, 60)
        evidence = await checker.evidence(receiver.received)
    assert len(evidence.tables["intake"]) == 2 * OUTAGES
    assert storm.accepted.acknowledged
    assert complaints(evidence, storm.accepted) == []

    # The checker is not blind: it misses a page that did not arrive, and sees one that came twice.
    without = replace(evidence, pages=[page for page in evidence.pages if page.body["data"]["step"] != 1])
    assert len(complaints(without, storm.accepted)) >= 2 * OUTAGES
    twice = replace(evidence, pages=[*evidence.pages, *evidence.pages])
    assert complaints(twice, storm.accepted)
