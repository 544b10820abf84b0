"""PagerDuty's own client, and a real Alertmanager with `pagerduty_configs`."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from pagerduty import EventsApiV2Client, HttpError

from tests.integration.intake.conftest import World, post
from tests.support.certificates import self_signed
from tests.support.encrypted import encrypted
from tests.support.notifying import alertmanager, needs_alertmanager
from tests.support.running import eventually

RECEIVER = """
    pagerduty_configs:
      - routing_key: "{key}"
        url: "{base}/v2/enqueue"
        severity: '{{{{ or .CommonLabels.severity "page" }}}}'
        component: checkout
"""


@pytest.fixture
def key(http: aiohttp.ClientSession) -> str:
    """An integration key."""
    return http.headers["Authorization"].removeprefix("Bearer ")


Connect = Callable[[str], EventsApiV2Client]


@pytest.fixture
async def connect(base: str, tmp_path: Path) -> AsyncIterator[Connect]:
    """Makes a client that has a key; it takes nothing but HTTPS."""
    certificate = self_signed(tmp_path)
    trusted = ssl.create_default_context(cafile=certificate.path)
    async with encrypted(base, certificate) as url:
        with ExitStack() as clients:
            yield lambda key: clients.enter_context(
                EventsApiV2Client(key, base_url=url, verify=trusted)
            )


@pytest.fixture
def client(connect: Connect, key: str) -> EventsApiV2Client:
    return connect(key)


async def incidents(world: World) -> list[tuple[str, str, int]]:
    rows = await world.rows("SELECT summary, status, signal_count FROM incidents ORDER BY number")
    return [(row["summary"], row["status"], row["signal_count"]) for row in rows]


async def test_what_its_client_triggers_is_one_incident_until_it_is_resolved(
    world: World, client: EventsApiV2Client
) -> None:
    key = await asyncio.to_thread(client.trigger, "disk 91 %", "db-1")
    assert await incidents(world) == [("disk 91 %", "open", 1)]
    again = await asyncio.to_thread(client.trigger, "disk 92 %", "db-1", key, "warning")
    assert again == key
    assert await asyncio.to_thread(client.resolve, key) == key
    assert await incidents(world) == [("disk 92 %", "cleared", 2)]
    await asyncio.to_thread(client.trigger, "disk 95 %", "db-1", key)
    assert [status for _, status, _ in await incidents(world)] == ["cleared", "open"]


async def test_an_acknowledgement_reaches_the_incident_and_does_not_undo_its_end(
    world: World, client: EventsApiV2Client
) -> None:
    key = await asyncio.to_thread(client.trigger, "disk 91 %", "db-1")
    assert await asyncio.to_thread(client.acknowledge, key) == key
    rows = await world.rows("SELECT acknowledged FROM alerts")
    assert rows == [{"acknowledged": True}]
    acknowledged = await world.rows("SELECT acknowledged_by FROM incidents")
    assert acknowledged[0]["acknowledged_by"]
    await asyncio.to_thread(client.trigger, "disk 92 %", "db-1", key)
    assert await world.rows("SELECT acknowledged_by FROM incidents") == acknowledged
    await asyncio.to_thread(client.resolve, key)
    await asyncio.to_thread(client.acknowledge, key)
    assert [status for _, status, _ in await incidents(world)] == ["cleared"]


async def test_its_client_hears_success_where_nothing_was_open(
    world: World, client: EventsApiV2Client
) -> None:
    for call in (client.acknowledge, client.resolve):
        assert await asyncio.to_thread(call, "unknown") == "unknown"
    assert await incidents(world) == []


async def test_its_client_reports_a_change(world: World, client: EventsApiV2Client) -> None:
    await asyncio.to_thread(
        client.submit,
        "build 42 deployed",
        "ci",
        {"service": "checkout", "version": "42"},
        [{"href": "https://ci.example/42", "text": "build"}],
        "2026-03-01T11:00:00Z",
    )
    ((kind, change),) = await world.outbox()
    assert kind == "ChangeRecorded"
    fields = {name: change["data"]["change"][name] for name in ("summary", "service", "version")}
    assert fields == {"summary": "build 42 deployed", "service": "checkout", "version": "42"}
    assert await incidents(world) == []


async def test_its_client_is_told_that_a_key_is_unknown(world: World, connect: Connect) -> None:
    client = connect("0" * 32)
    with pytest.raises(HttpError) as caught:
        await asyncio.to_thread(client.trigger, "disk 91 %", "db-1")
    answer = caught.value.response
    assert answer is not None
    assert answer.status_code == 400
    assert "routing_key: is not an integration key" in answer.text
    assert await incidents(world) == []


@pytest.mark.parametrize("severity", ["none", "page", "info", "CRITICAL", None, 7])
async def test_no_severity_costs_the_event(
    world: World, base: str, http: aiohttp.ClientSession, key: str, severity: Any
) -> None:
    payload = {"summary": "disk 91 %", "source": "db-1", "severity": severity}
    event = {"routing_key": key, "event_action": "trigger", "payload": payload}
    status, _ = await post(http, f"{base}/v2/enqueue", event)
    assert status == 202
    assert [status for _, status, _ in await incidents(world)] == ["open"]


async def test_version_1_opens_what_version_2_closes(
    world: World, base: str, http: aiohttp.ClientSession, key: str
) -> None:
    """As LibreNMS and others still send it; Alertmanager sends version 1 to PagerDuty alone."""
    url = f"{base}/generic/2010-04-15/create_event.json"
    event = {"service_key": key, "event_type": "trigger", "incident_key": "7"}
    status, answer = await post(http, url, event | {"description": "disk 91 %"})
    expected = {"status": "success", "message": "Event processed", "incident_key": "7"}
    assert (status, answer) == (200, expected)
    status, answer = await post(http, url, event)
    assert (status, answer["errors"]) == (400, ["description: is missing or blank"])
    end = {"routing_key": key, "event_action": "resolve", "dedup_key": "7"}
    assert (await post(http, f"{base}/v2/enqueue", end))[0] == 202
    assert await incidents(world) == [("disk 91 %", "cleared", 1)]


async def test_an_event_too_large_is_refused_before_it_is_read(
    base: str, http: aiohttp.ClientSession
) -> None:
    status, body = await post(http, f"{base}/v2/enqueue", b" " * (512 * 1024 + 1))
    assert (status, body["status"]) == (413, "invalid event")


@needs_alertmanager
async def test_alertmanager_opens_and_closes_through_its_pagerduty_receiver(
    world: World, base: str, key: str, tmp_path: Path
) -> None:
    async with alertmanager(tmp_path, RECEIVER.format(key=key, base=base)) as running:

        async def is_now(status: str) -> None:
            async def reached() -> bool:
                return [found for _, found, _ in await incidents(world)] == [status]

            await eventually(f"the incident is {status}", reached)

        await running.fire("DiskFull", "a", "b")
        await is_now("open")
        await running.resolve("DiskFull", "a", "b")
        await is_now("cleared")
