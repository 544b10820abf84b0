"""CDEvents over HTTP, on real Postgres."""

import aiohttp

from tests.integration.intake.conftest import World, post
from tests.unit.intake.gateways.test_cdevents import DEPLOYED, DETECTED, cdevent, enveloped


async def test_cdevents_are_recorded_or_open_and_clear_incidents(
    world: World, base: str, http: aiohttp.ClientSession
) -> None:
    url = f"{base}/v1/cdevents"
    assert await post(http, url, DEPLOYED) == (202, {"accepted": 1})
    assert await post(http, url, cdevent("build.started", {})) == (202, {"accepted": 0})
    detected = DETECTED | {"context": DETECTED["context"] | {"id": "2"}}
    assert await post(http, url, detected) == (202, {"accepted": 1})
    resolved = cdevent("incident.resolved", {})
    resolved["context"] |= {"id": "3"}
    headers = {"Content-Type": "application/cloudevents+json"}
    status, body = await post(http, f"{base}/v1/signals", enveloped(resolved), **headers)
    assert (status, body["signals"][0]["decision"]) == (202, "cleared")
    kinds = [kind for kind, _ in await world.outbox()]
    assert kinds == ["ChangeRecorded", "IncidentReported", "IncidentCleared"]
    (_, recorded), *_ = await world.outbox()
    change = recorded["data"]["change"]
    assert (change["kind"], change["service"]) == ("deployment", "mySubject123")
