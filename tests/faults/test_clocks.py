"""Replicas whose machines have the wrong time: nobody is paged twice, and no step begins early."""

from collections import Counter
from pathlib import Path

import asyncpg
import pytest

from tests.faults.world import World
from tests.support.running import Truth, eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")
# What each replica did when, by the database's clock: its own record goes by its own.
_PROBE = """
CREATE SCHEMA probe;
CREATE TABLE probe.seen (
    source text, incident uuid, step integer, at timestamptz DEFAULT clock_timestamp()
);
CREATE FUNCTION probe.note() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO probe.seen
    SELECT TG_TABLE_NAME, coalesce(row->>'incident_id', row->>'id')::uuid, (row->>'step')::integer
    FROM to_jsonb(NEW) AS row;
    RETURN NULL;
END $$;
CREATE TRIGGER note AFTER INSERT ON escalation.incidents
    FOR EACH ROW EXECUTE FUNCTION probe.note();
CREATE TRIGGER note AFTER INSERT ON escalation.deliveries
    FOR EACH ROW EXECUTE FUNCTION probe.note();
"""
_SECOND_STEPS = """
SELECT extract(epoch FROM page.at - start.at)::float FROM probe.seen page
JOIN probe.seen start ON start.source = 'incidents' AND start.incident = page.incident
WHERE page.source = 'deliveries' AND page.step = 2
"""
_WAIT_SECONDS = 2.0  # of step 2, see `short_waits`
_ENOUGH = 20


def faketime() -> Path:
    """Debian's libfaketime, which shows a process another time."""
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    if not found:
        pytest.skip("libfaketime is not installed (Debian: faketime)")
    return found[0]


async def test_a_replica_half_an_hour_ahead_pages_nobody_twice_or_early(world: World) -> None:
    stack, library = world.stack, faketime()
    environment = {"LD_PRELOAD": str(library), "FAKETIME": "+1800s", "NO_FAKE_STAT": "1"}
    services = ("intake", "triage", "escalation") if world.long else ("escalation",)
    ahead = [stack.add_replica(service, "ahead", **environment) for service in services]
    admin = await asyncpg.connect(stack.postgres.dsn())
    await admin.execute(_PROBE)
    first = len(world.receiver.received)

    async def enough() -> Truth:
        steps = await admin.fetch(_SECOND_STEPS)
        return Truth(len(steps) >= (3 if world.long else 1) * _ENOUGH, f"{len(steps)} second steps")

    try:
        async with world.load("clocks"):
            for one in ahead:
                await stack.start(one)
                await stack.ready(one.name)
            await eventually(
                "clocks said to be wrong", lambda: says_so(world, ahead[0].probes_port)
            )
            await eventually("pages of second steps", enough)
        waited = [row[0] for row in await admin.fetch(_SECOND_STEPS)]
    finally:
        for one in ahead:
            await stack.remove(one.name)
        await admin.execute("DROP SCHEMA probe CASCADE")
        await admin.close()
    pages = Counter(page.webhook_id for page in world.receiver.received[first:])
    assert [key for key, times in pages.items() if times > 1] == []
    # A start is noted a moment after its time was taken.
    assert min(waited) > _WAIT_SECONDS / 2, sorted(waited)[:5]


async def says_so(world: World, port: int) -> Truth:
    async with world.stack.tocsin.http.get(f"http://127.0.0.1:{port}/readyz") as answer:
        body = await answer.json()
    problems = body["degraded"].get("clock", [])
    return Truth(answer.status == 200 and "ahead of the database's" in str(problems), str(body))
