"""A real Alertmanager and its groups, where it is installed (Debian: prometheus-alertmanager)."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.integration.intake.conftest import World
from tests.support.running import eventually, free_port

PROGRAM = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager") or ""
CONFIG = """
route:
  receiver: tocsin
  group_by: [{group_by}]
  group_wait: 0s
  group_interval: 1s
  repeat_interval: 1h
receivers:
  - name: tocsin
    webhook_configs:
      - url: "{base}/v1/alertmanager"
        max_alerts: {max_alerts}
        http_config: {{authorization: {{credentials: "{key}"}}}}
"""

pytestmark = pytest.mark.skipif(not PROGRAM, reason="no Alertmanager is installed")


@dataclass
class Alertmanager:
    """A running Alertmanager that notifies intake."""

    url: str
    http: aiohttp.ClientSession
    config: Path
    names: dict[str, Any]

    async def reload(self, group_by: str) -> None:
        """Go on with other groups."""
        self.configure(group_by)
        async with self.http.post(f"{self.url}/-/reload") as answer:
            assert answer.status == 200, await answer.text()

    def configure(self, group_by: str) -> None:
        self.config.write_text(CONFIG.format(group_by=group_by, **self.names))

    async def fire(self, names: str) -> None:
        await self._post(names, timedelta(hours=1))

    async def resolve(self, names: str) -> None:
        await self._post(names, timedelta(0))

    async def _post(self, names: str, ends_in: timedelta) -> None:
        now = datetime.now(UTC)
        alerts = [
            {
                "labels": {"alertname": "Down", "instance": name},
                "startsAt": (now - timedelta(minutes=1)).isoformat(),
                "endsAt": (now + ends_in).isoformat(),
            }
            for name in names
        ]
        async with self.http.post(f"{self.url}/api/v2/alerts", json=alerts) as answer:
            assert answer.status == 200, await answer.text()

    async def is_ready(self) -> bool:
        try:
            async with self.http.get(f"{self.url}/-/ready") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False


@asynccontextmanager
async def alertmanager(
    folder: Path, base: str, http: aiohttp.ClientSession, max_alerts: int
) -> AsyncIterator[Alertmanager]:
    key = http.headers["Authorization"].removeprefix("Bearer ")
    config = folder / "alertmanager.yml"
    names = {"base": base, "key": key, "max_alerts": max_alerts}
    address = f"127.0.0.1:{free_port()}"
    client = aiohttp.ClientSession()
    running = Alertmanager(f"http://{address}", client, config, names)
    running.configure("alertname")
    process = await asyncio.create_subprocess_exec(
        PROGRAM,
        f"--config.file={config}",
        f"--storage.path={folder}",
        f"--web.listen-address={address}",
        "--cluster.listen-address=",
        "--log.level=error",
    )
    try:
        await eventually("Alertmanager is ready", running.is_ready)
        yield running
    finally:
        await client.close()
        process.kill()
        await process.wait()


async def until(world: World, *states: tuple[str, int]) -> None:
    """Wait until the incidents are in these states, with so many alerts firing."""

    async def reached() -> bool:
        rows = await world.rows("SELECT status, alerts_firing FROM incidents ORDER BY number")
        return [(row["status"], row["alerts_firing"]) for row in rows] == list(states)

    await eventually(f"the incidents are {states}", reached)


async def test_a_truncated_group_stays_open_while_alerts_that_are_not_listed_fire(
    world: World, base: str, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    async with alertmanager(tmp_path, base, http, max_alerts=2) as running:
        await running.fire("abcde")
        await until(world, ("open", 5))
        await running.resolve("ab")
        await until(world, ("open", 3))
        await running.resolve("cde")
        await until(world, ("open", 1))  # it lists c and d, and does not say whether e fires
    world.clock[0] += timedelta(hours=6)
    await world.fire_due()
    await until(world, ("cleared", 0))


async def test_a_whole_group_ends_at_once_and_one_alert_may_take_over_from_another(
    world: World, base: str, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    async with alertmanager(tmp_path, base, http, max_alerts=0) as running:
        await running.fire("a")
        await until(world, ("open", 1))
        await running.resolve("a")
        await running.fire("bc")
        await until(world, ("open", 2))
        await running.resolve("bc")
        await until(world, ("cleared", 0))


async def test_an_alert_ends_where_it_began_though_its_group_is_another(
    world: World, base: str, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    async with alertmanager(tmp_path, base, http, max_alerts=0) as running:
        await running.fire("ab")
        await until(world, ("open", 2))
        await running.reload("alertname, instance")
        await told_again(world)
        await running.resolve("ab")
        await eventually("nothing is open", partial(nothing_is_open, world))
        assert await world.rows("SELECT FROM alerts WHERE firing") == []


async def told_again(world: World) -> None:
    """Wait until both alerts have come in groups of their own."""
    before = await signals(world)

    async def told() -> bool:
        return await signals(world) >= before + 2

    await eventually("the alerts come in their new groups", told)


async def signals(world: World) -> int:
    (row,) = await world.rows("SELECT count(*) FROM signals")
    return int(row["count"])


async def nothing_is_open(world: World) -> bool:
    return await world.rows("SELECT FROM incidents WHERE status = 'open'") == []
