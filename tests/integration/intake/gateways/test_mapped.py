"""Mapped webhooks with Postgres: a mapping of the policy folder is taken while intake runs."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from services.intake.app import make_api
from services.intake.gateways.http import Services
from services.intake.gateways.policy import (
    FOLDER,
    MappingFiles,
    Signers,
    bundle,
    in_force,
    read_bundle,
)
from services.intake.incidents.known_alerts import KnownAlerts
from services.intake.integrations.key_ring import KeyRing
from services.intake.integrations.store import create_key
from shared.policy.watch import PolicyWatch
from tests.integration.intake.conftest import NOON, World, committing, post
from tests.support.http import served
from tests.support.running import eventually

OURS = """\
about: Ours
sends_resolved: true
signals:
  - key: body.id
    status: {from: body.state, resolved: [ok]}
    summary: body.title
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / FOLDER).mkdir()
    return tmp_path / FOLDER


@pytest.fixture
async def mappings(world: World, folder: Path) -> AsyncIterator[PolicyWatch[MappingFiles]]:
    watch = PolicyWatch(
        folder, read_bundle, world.database, optional=True, load=bundle, poll_seconds=0.02
    )
    await watch.start()
    task = asyncio.create_task(watch.run())
    yield watch
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


@pytest.fixture
async def address(world: World, mappings: PolicyWatch[MappingFiles]) -> AsyncIterator[str]:
    """Where mapped webhooks are taken, up to their key."""
    async with world.database.transaction() as connection:
        key = await create_key(connection, "tests", None, NOON)
    async with committing(world.database, world.handlers.take_new, world.handlers.take) as commit:
        keys, lookup = KeyRing(world.database, lambda: NOON), KnownAlerts(world.database).find
        services = Services(
            *(keys, commit.submit, lookup, lambda: NOON),
            policy=lambda: in_force(mappings.current.content, Signers()),
        )
        async with served(make_api(services)) as base:
            yield f"{base}/v1/mapped/{{}}/{key}"


async def until(what: str, check: Callable[[], bool]) -> None:
    async def checked() -> bool:
        return check()

    await eventually(what, checked)


async def send(address: str, name: str, body: Any) -> int:
    async with aiohttp.ClientSession() as http:
        status, _ = await post(http, address.format(name), body)
        return status


async def test_a_mapping_of_the_policy_folder_is_taken_while_intake_runs(
    world: World, folder: Path, mappings: PolicyWatch[MappingFiles], address: str
) -> None:
    alert = {"id": 7, "state": "bad", "title": "the till is stuck"}
    assert await send(address, "ours", alert) == 404
    (folder / "ours.yaml").write_text(OURS)
    await until("a new mapping is in force", lambda: "ours" in mappings.current.content.mappings)
    assert await send(address, "ours", alert) == 200
    (folder / "ours.yaml").write_text(OURS.replace("body.title", "body..title"))
    await until("a fault is found", lambda: bool(mappings.faults))
    assert mappings.faults[0].file == "mappings/ours.yaml"
    # The last good version stays, and what began under one version ends under the next.
    assert await send(address, "ours", alert | {"title": "still stuck"}) == 200
    (folder / "ours.yaml").write_text(OURS.replace("Ours", "Ours, changed"))
    await until("it is good again", lambda: not mappings.faults)
    assert await send(address, "ours", {"id": 7, "state": "ok"}) == 200
    (incident,) = await world.rows("SELECT status, summary, signal_count FROM incidents")
    assert incident == {"status": "cleared", "summary": "still stuck", "signal_count": 2}


async def test_after_a_restart_with_a_bad_file_the_last_good_mappings_are_in_force(
    world: World, folder: Path, mappings: PolicyWatch[MappingFiles]
) -> None:
    (folder / "ours.yaml").write_text(OURS)

    async def saved() -> bool:
        rows = await world.rows("SELECT name FROM policies WHERE text LIKE '%Ours%'")
        return bool(rows)

    await eventually("the good version is saved", saved)
    (folder / "ours.yaml").write_text("about: [")
    again = PolicyWatch(folder, read_bundle, world.database, optional=True, load=bundle)
    await again.start()
    assert "ours" in again.current.content.mappings
    assert again.faults[0].file == "mappings/ours.yaml"
