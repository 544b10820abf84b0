"""All alerts of an incident, as programs and people read them."""

import asyncio
import json
import sys
from asyncio import subprocess
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import aiohttp
import pytest

from services.intake.handlers import Handlers
from services.intake.incidents.http.alerts import make_router
from services.intake.incidents.policy import IntakePolicy, Rule
from services.intake.signals.domain import Group, Signal
from shared.events.ids import uuid7
from shared.http.app import create_app
from tests.integration.intake.conftest import NOON, World, fired
from tests.support.http import served
from tests.support.running import TOKEN


@pytest.fixture
async def address(world: World) -> AsyncIterator[str]:
    """Where the API of incidents is served."""
    app = create_app("Tocsin intake")
    app.include_router(make_router(world.database, TOKEN))
    async with served(app) as address:
        yield address


async def ask(
    address: str, path: str, status: int = 200, token: str | None = TOKEN
) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with aiohttp.ClientSession(headers=headers) as http, http.get(address + path) as answer:
        body: dict[str, Any] = await answer.json(content_type=None)
        assert answer.status == status, body
        return body


def in_group(signal: Signal, **group: Any) -> Signal:
    return replace(signal, group=Group(key="web", **group))


async def test_the_alerts_of_a_group_have_states_and_contents_of_their_own(
    world: World, address: str
) -> None:
    await world.take(
        in_group(fired("1", "a", summary="a is full", severity="critical"), unlisted=5),
        in_group(fired("2", "b", summary="b is full", labels={"host": "b"}), unlisted=5),
        in_group(fired("3", "c", summary="c is full"), unlisted=5),
    )
    await world.take(
        in_group(fired("4", "b", "resolved"), all_resolved=False, unlisted=5),
        in_group(fired("5", "c", "acknowledged", by="ana")),
    )
    (row,) = await world.rows("SELECT incident_id, number FROM incidents")
    answer = await ask(address, f"/v1/incidents/INC-{row['number']}/alerts")
    assert answer == await ask(address, f"/v1/incidents/{row['incident_id']}/alerts")
    states = {alert["key"]: (alert["state"], alert["summary"]) for alert in answer["alerts"]}
    assert states == {
        "a": ("firing", "a is full"),
        "b": ("resolved", "b is full"),
        "c": ("acknowledged", "c is full"),
    }
    assert {alert["key"]: alert["labels"] for alert in answer["alerts"]}["b"] == {"host": "b"}
    counts = ("alerts_total", "alerts_firing", "alerts_unlisted", "acknowledged_by", "next")
    assert [answer[name] for name in counts] == [3, 7, 5, "ana", None]


async def test_pages_meet_without_gap_or_overlap(world: World, address: str) -> None:
    keys = [f"disk {number}/é?&" for number in range(7)]
    await world.take(*(in_group(fired(key, key)) for key in keys))
    seen: list[str] = []
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with aiohttp.ClientSession(headers=headers) as http:
        parameters = {"limit": "3"}
        while True:
            async with http.get(address + "/v1/incidents/1000/alerts", params=parameters) as answer:
                page = await answer.json()
            seen += [alert["key"] for alert in page["alerts"]]
            if page["next"] is None:
                break
            assert len(page["alerts"]) == 3
            parameters["after"] = page["next"]
    assert sorted(seen) == keys


async def test_an_alert_of_its_own_says_what_its_incident_says(world: World, address: str) -> None:
    await world.take(fired("1", severity="critical", service="checkout"))
    (alert,) = (await ask(address, "/v1/incidents/1000/alerts"))["alerts"]
    assert (alert["state"], alert["summary"], alert["service"]) == (
        "firing",
        "disk full",
        "checkout",
    )
    await world.resolved(10)
    answer = await ask(address, "/v1/incidents/1000/alerts")
    assert (answer["status"], answer["alerts"][0]["state"]) == ("closed", "resolved")


async def test_an_alert_whose_incident_waits_for_calm_is_held(world: World, address: str) -> None:
    rules = IntakePolicy(rules=[Rule(clear_after=timedelta(minutes=5))], storm=None)
    handlers = Handlers(lambda: rules, lambda: NOON)
    async with world.database.transaction() as connection:
        await handlers.take(connection, [fired("1")])
        await handlers.take(connection, [fired("2", status="resolved")])
    (alert,) = (await ask(address, "/v1/incidents/1000/alerts"))["alerts"]
    assert alert["state"] == "held"


@pytest.mark.parametrize(
    ("path", "status", "field"),
    [
        ("/v1/incidents/INC-x/alerts", 400, "incident"),
        ("/v1/incidents/INC-99999/alerts", 404, "incident"),
        (f"/v1/incidents/{uuid7()}/alerts", 404, "incident"),
        ("/v1/incidents/1000/alerts?limit=0", 422, "limit"),
        ("/v1/incidents/1000/alerts?after=%00", 422, "after"),
    ],
)
async def test_a_bad_request_names_the_field(
    address: str, path: str, status: int, field: str
) -> None:
    assert (await ask(address, path, status))["field"] == field


async def test_only_bearers_of_the_token_read_it(world: World, address: str) -> None:
    for token in (None, "wrong"):
        assert (await ask(address, "/v1/incidents/1000/alerts", 401, token))["status"] == 401
    app = create_app("Tocsin intake")
    app.include_router(make_router(world.database, None))
    async with served(app) as closed:
        refused = await ask(closed, "/v1/incidents/1000/alerts", 403, "")
    assert "TOCSIN_API_TOKEN" in refused["detail"]


async def tocsin(address: str, *arguments: str) -> tuple[int, str]:
    process = await subprocess.create_subprocess_exec(
        sys.executable,
        *("-m", "shared.runtime.cli", *arguments),
        env={"TOCSIN_INTAKE_URL": address, "TOCSIN_API_TOKEN": TOKEN, "PATH": "/usr/bin:/bin"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


async def test_the_command_line_lists_all_alerts(world: World, address: str) -> None:
    many = [in_group(fired(f"s{n}", f"disk {n}"), unlisted=5) for n in range(1_001)]
    await world.take(*many)
    status, output = await tocsin(address, "intake", "alerts", "INC-1000")
    assert status == 0, output
    lines = output.splitlines()
    assert lines[1] == "open: 1001 alerts and 5 that its sender did not list"
    assert sum(line.startswith("firing") for line in lines) == 1_001
    status, output = await tocsin(address, "intake", "alerts", "1000", "--json")
    assert len({alert["key"] for alert in json.loads(output)["alerts"]}) == 1_001
    assert await tocsin(address, "intake", "alerts", "INC-7") == (
        1,
        "tocsin: there is no incident INC-7\n",
    )
