"""A service dies right after it has accepted a request."""

import signal

import pytest

from tests.faults.world import World
from tests.support.running import Truth, alert, eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_an_accepted_resolution_is_published_although_its_service_is_killed(
    world: World,
) -> None:
    tocsin, accepted = world.stack.tocsin, world.storm.accepted
    world.storm.responds = False  # nobody acknowledges the incidents that are resolved here
    names = [f"resolved {number}" for number in range(6 if world.long else 1)]
    answer = await tocsin.signals(*(alert(name) for name in names))
    accepted.signals |= {("tests /probe", name) for name in names}
    incidents = [one["subject"] for one in answer["signals"]]

    async def paged() -> Truth:
        seen = {page.body["data"]["incident_id"] for page in world.receiver.received}
        return Truth(seen >= set(incidents), str(seen))

    await eventually("ana is paged for all", paged)
    for incident in incidents:
        await tocsin.act("resolve", incident)
        old = world.stack.send("escalation", signal.SIGKILL)
        accepted.resolved[incident] = "ana"
        await world.stack.renewed("escalation", old)

    await world.judge()
    world.storm.responds = True
    accepted.signals.add(("tests /probe", "again"))
    answer = await tocsin.signals(alert("again", names[0]))
    assert answer["signals"][0]["subject"] not in incidents, (
        "the same fault later is a new incident"
    )
    await world.judge()
