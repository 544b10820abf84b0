"""Two processes that take alerts of one group at the same time, and what senders read of them."""

import asyncio
from contextlib import AsyncExitStack

from services.intake.handlers import Handlers
from services.intake.incidents.known_alerts import KnownAlerts
from services.intake.incidents.policy import IntakePolicy, Rule
from tests.integration.intake.conftest import POLICY, World, committing, fired


async def test_fifty_parallel_posts_fill_one_incident_after_the_other(world: World) -> None:
    rules = [Rule(group_by=["service"], max_alerts=10)]
    policy: IntakePolicy = POLICY.model_copy(update={"rules": rules})
    signals = [fired(f"s{n}", f"k{n}", service="checkout") for n in range(50)]
    ends = [fired(f"e{n}", f"k{n}", "resolved", service="checkout") for n in range(50)]
    async with AsyncExitStack() as stack:
        processes = []
        for _ in range(2):
            it = Handlers(lambda: policy, lambda: world.clock[0])
            serving = committing(world.database, it.take_new, it.take)
            processes.append(await stack.enter_async_context(serving))
        for sent in (signals, signals, ends, ends):
            posts = [processes[n % 2].submit("probe", [one]) for n, one in enumerate(sent)]
            await asyncio.gather(*posts)
            if sent is signals:
                found = await world.rows("SELECT alerts_total AS n, takes_more FROM incidents")
                assert [row["n"] for row in found] == [10] * 5
                assert sum(row["takes_more"] for row in found) == 1
                lookup = KnownAlerts(world.database).find
                listed = await lookup("probe", None)
                assert sorted(one.key for one in listed) == sorted(f"k{n}" for n in range(50))
                (one,) = await lookup("probe", ["k7"])
                assert (one.key, one.status) == ("k7", "firing")
                members = await lookup("probe", one.incident_id)
                assert len(members) == 10
                assert await lookup("another", one.incident_id) == []
    rows = await world.rows("SELECT status, alerts_firing FROM incidents")
    assert [tuple(row.values()) for row in rows] == [("cleared", 0)] * 5
