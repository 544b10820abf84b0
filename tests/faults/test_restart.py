"""Services that are stopped, as every deployment stops them, and one that dies right after it gave its word."""

import asyncio
import random
import signal

from tests.faults.storm import Storm, make_signals
from tests.support.checker import Accepted, complaints
from tests.support.evidence import checking
from tests.support.running import SERVICES, Receiver, Running, Truth, alert, eventually

_EACH = 60


async def test_a_service_that_is_told_to_stop_ends_well_and_loses_and_repeats_nothing(
    kafka: str, database: str, topic_prefix: str, tocsin: Running, receiver: Receiver, storm: Storm
) -> None:
    signals = make_signals(_EACH * len(SERVICES), len(SERVICES) * 3, random.Random(1))  # noqa: S311

    async def restart(service: str, moment: int) -> None:
        await eventually("the middle of it", lambda: storm.reached(moment))
        async with asyncio.timeout(20):
            assert await tocsin.kill(service, signal.SIGTERM) == 0, (tocsin.logs / f"{service}.log").read_text()[-3000:]
        await tocsin.start(service)
        await tocsin.ready(service)

    for number, service in enumerate(SERVICES):
        async with asyncio.TaskGroup() as group:
            group.create_task(restart(service, number * _EACH + _EACH // 3))
            group.create_task(storm.send(signals[number * _EACH : (number + 1) * _EACH]))

    async with checking(kafka, database, topic_prefix) as checker:
        await storm.pass_over(checker)
        evidence = await checker.evidence(receiver.received)
    assert complaints(evidence, storm.accepted) == []
    keys = [page.webhook_id for page in receiver.received]
    assert len(keys) == len(set(keys)), "who ends well has waited for the pages on their way"


async def test_c64_a_resolve_that_was_accepted_is_told_although_its_service_was_killed(
    kafka: str, database: str, topic_prefix: str, tocsin: Running, receiver: Receiver
) -> None:
    accepted = Accepted(signals={("tests /probe", str(number)) for number in range(3)})
    answer = await tocsin.signals(*(alert(str(number), f"outage {number}") for number in range(3)))
    incidents = [one["subject"] for one in answer["signals"]]

    async def paged() -> Truth:
        seen = {page.body["data"]["incident_id"] for page in receiver.received}
        return Truth(seen == set(incidents), str(seen))

    await eventually("ana is paged for all", paged)
    for incident in incidents:
        await tocsin.act("resolve", incident)
        await tocsin.kill("escalation")
        accepted.resolved[incident] = "ana"
        await tocsin.start("escalation")
        await tocsin.ready("escalation")

    async with checking(kafka, database, topic_prefix) as checker:
        await eventually("all has come to rest", checker.settled, 60)
        assert complaints(await checker.evidence(receiver.received), accepted) == []
    answer = await tocsin.signals(alert("again", "outage 0"))
    assert answer["signals"][0]["subject"] not in incidents, "what breaks again is a new incident"
