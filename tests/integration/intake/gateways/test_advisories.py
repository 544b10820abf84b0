"""Advisories over HTTP, on real Postgres."""

import aiohttp

from tests.integration.intake.conftest import World, post
from tests.unit.intake.gateways.test_advisories import CYCLONEDX, OSV


async def test_an_advisory_is_recorded_once(
    world: World, base: str, http: aiohttp.ClientSession
) -> None:
    url = f"{base}/v1/advisories?service=checkout"
    for _ in range(3):  # a scanner runs every night
        assert await post(http, url, OSV) == (202, {"accepted": 1})
    assert await post(http, url, CYCLONEDX) == (202, {"accepted": 5})
    facts = await world.outbox()
    assert [kind for kind, _ in facts] == ["AdvisoryRecorded"] * 6
    advisory = facts[0][1]["data"]["advisory"]
    assert (advisory["advisory"], advisory["service"]) == ("GHSA-vxv8-r8q2-63xw", "checkout")
    assert await post(http, url, []) == (202, {"accepted": 0})
    status, problem = await post(http, url, {"id": "X"})
    assert (status, problem["field"]) == (400, "body")
    assert await world.rows("SELECT FROM incidents") == []
