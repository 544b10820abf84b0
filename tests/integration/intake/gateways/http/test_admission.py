"""A real Alertmanager against a key that is throttled, where it is installed: nothing is lost."""

import asyncio
import shutil
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.intake.app import make_api
from services.intake.gateways.http import Services
from services.intake.incidents.known_alerts import KnownAlerts
from services.intake.integrations.domain import Settings
from services.intake.integrations.key_ring import KeyRing
from services.intake.integrations.store import create_integration, create_key
from tests.integration.intake.conftest import NOON, World, committing
from tests.support.http import served
from tests.support.running import eventually, free_port

PROGRAM = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager") or ""
ALERTS = 1_000
CONFIG = """
route:
  receiver: tocsin
  group_by: ["..."]
  group_wait: 0s
  group_interval: 1s
  repeat_interval: 1h
receivers:
  - name: tocsin
    webhook_configs:
      - url: "{base}/v1/alertmanager"
        http_config: {{authorization: {{credentials: "{key}"}}}}
"""


def counted(app: ASGIApp, statuses: Counter[int]) -> ASGIApp:
    """The application, with its answers counted by their status."""

    async def call(scope: Scope, receive: Receive, send: Send) -> None:
        async def note(message: Message) -> None:
            if message["type"] == "http.response.start":
                statuses[message["status"]] += 1
            await send(message)

        await app(scope, receive, note)

    return call


@asynccontextmanager
async def intake(world: World, statuses: Counter[int]) -> AsyncIterator[str]:
    async with committing(world.database, world.handlers.take_new, world.handlers.take) as commit:
        keys, lookup = KeyRing(world.database, lambda: NOON), KnownAlerts(world.database).find
        api = make_api(Services(keys, commit.submit, lookup, lambda: NOON))
        async with served(counted(api, statuses)) as base:
            yield base


@asynccontextmanager
async def alertmanager(folder: Path, base: str, key: str) -> AsyncIterator[str]:
    config, address = folder / "alertmanager.yml", f"127.0.0.1:{free_port()}"
    config.write_text(CONFIG.format(base=base, key=key))
    process = await asyncio.create_subprocess_exec(
        PROGRAM,
        f"--config.file={config}",
        f"--storage.path={folder}",
        f"--web.listen-address={address}",
        "--cluster.listen-address=",
        "--log.level=error",
    )
    try:
        yield f"http://{address}"
    finally:
        process.kill()
        await process.wait()


async def fire(url: str) -> None:
    """Alerts of a group each, as soon as it is ready."""
    ends_at = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    alerts = [
        {"labels": {"alertname": "Down", "instance": f"host {number}"}, "endsAt": ends_at}
        for number in range(ALERTS)
    ]
    async with aiohttp.ClientSession() as http:

        async def posted() -> bool:
            try:
                async with http.post(f"{url}/api/v2/alerts", json=alerts) as answer:
                    return answer.status == 200
            except aiohttp.ClientError:
                return False

        await eventually("Alertmanager takes alerts", posted)


@pytest.mark.skipif(not PROGRAM, reason="no Alertmanager is installed")
async def test_of_a_thousand_alerts_under_a_throttled_key_none_is_lost(
    world: World, tmp_path: Path
) -> None:
    async with world.database.transaction() as connection:
        slow = Settings(gateway="alertmanager", rate=300, burst=50)
        await create_integration(connection, "slow", slow, NOON)
        key = await create_key(connection, "slow", None, NOON)
    statuses: Counter[int] = Counter()

    async def all_known() -> bool:
        rows = await world.rows("SELECT count(DISTINCT labels ->> 'instance') FROM incidents")
        return rows == [{"count": ALERTS}]

    async with intake(world, statuses) as base, alertmanager(tmp_path, base, key) as url:
        await fire(url)
        await eventually("all alerts are incidents", all_known, 120)
    assert statuses[503] > 0, "it was throttled"
    assert set(statuses) == {200, 503}
    assert await world.rows("SELECT count(*) FROM incidents") == [{"count": ALERTS}]
