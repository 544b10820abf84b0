"""A real Alertmanager that notifies one receiver (Debian: prometheus-alertmanager)."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest

from tests.support.running import eventually, free_port

PROGRAM = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager") or ""
needs_alertmanager = pytest.mark.skipif(not PROGRAM, reason="no Alertmanager is installed")
CONFIG = """
route:
  receiver: tocsin
  group_by: [alertname]
  group_wait: 0s
  group_interval: 1s
  repeat_interval: 1h
receivers:
  - name: tocsin
{receiver}
"""


@dataclass
class Notifier:
    """A running Alertmanager."""

    url: str
    http: aiohttp.ClientSession

    async def fire(self, name: str, *instances: str) -> None:
        """Alerts of one group that fire."""
        await self._post(name, instances, timedelta(hours=1))

    async def resolve(self, name: str, *instances: str) -> None:
        """Alerts of one group that are over."""
        await self._post(name, instances, timedelta(0))

    async def _post(self, name: str, instances: tuple[str, ...], ends_in: timedelta) -> None:
        now = datetime.now(UTC)
        alerts = [
            {
                "labels": {"alertname": name, "instance": one, "service": "checkout"},
                "annotations": {"summary": f"{name} of checkout"},
                "startsAt": (now - timedelta(minutes=1)).isoformat(),
                "endsAt": (now + ends_in).isoformat(),
            }
            for one in instances
        ]
        async with self.http.post(f"{self.url}/api/v2/alerts", json=alerts) as answer:
            assert answer.status == 200, await answer.text()

    async def is_ready(self) -> bool:
        """Whether it has started."""
        try:
            async with self.http.get(f"{self.url}/-/ready") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False


@asynccontextmanager
async def alertmanager(folder: Path, receiver: str) -> AsyncIterator[Notifier]:
    """An Alertmanager that runs inside the block; `receiver` is the YAML of its integrations."""
    config = folder / "alertmanager.yml"
    config.write_text(CONFIG.format(receiver=receiver))
    address = f"127.0.0.1:{free_port()}"
    process = await asyncio.create_subprocess_exec(
        PROGRAM,
        f"--config.file={config}",
        f"--storage.path={folder}",
        f"--web.listen-address={address}",
        "--cluster.listen-address=",
        "--log.level=error",
    )
    try:
        async with aiohttp.ClientSession() as client:
            running = Notifier(f"http://{address}", client)
            await eventually("Alertmanager is ready", running.is_ready)
            yield running
    finally:
        process.kill()
        await process.wait()
