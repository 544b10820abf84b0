"""The peer: Alertmanager, where it is installed, with the same alerts and the same receiver."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp
import orjson

from deploy.local.ports import choose
from tests.bench.figures import Figures, figures
from tests.bench.generator import Job
from tests.bench.measured import Inbox, run
from tests.bench.workloads import Workload, cloudevent, thing_in
from tests.support.running import eventually

NAME = "alertmanager"
# Each alert is a group of its own that is notified at once, as an incident is paged at once.
# group_interval has no part in a first notification; a short one would keep waking every group.
_CONFIG = """
route:
  receiver: bench
  group_by: ['...']
  group_wait: 0s
  group_interval: 5m
  repeat_interval: 4h
receivers: [{{name: bench, webhook_configs: [{{url: "{url}/pages", send_resolved: false}}]}}]
"""


def program() -> str | None:
    """The path of its program, or None."""
    return shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")


async def through_alertmanager(workload: Workload, executable: str, receiver: Inbox) -> Figures:
    """Run a workload on a new, single Alertmanager."""
    port = choose(1)[0]
    job = Job(
        _bodies(workload),
        ports=[port],
        path="/api/v2/alerts",
        headers={"content-type": "application/json"},
        rate=workload.rate,
    )
    async with _process(executable, port, receiver) as pid:
        groups = {NAME: [pid]}
        noted = await run(job, receiver, workload.things, groups, _things)
        return figures(NAME, workload, *noted)


@asynccontextmanager
async def _process(executable: str, port: int, receiver: Inbox) -> AsyncIterator[int]:
    """The pid of an Alertmanager that is ready on the port; it ends with the block."""
    with TemporaryDirectory(prefix="tocsin-bench-") as folder:
        config = Path(folder) / "alertmanager.yml"
        config.write_text(_CONFIG.format(url=receiver.url))
        process = await asyncio.create_subprocess_exec(
            executable,
            f"--config.file={config}",
            f"--storage.path={folder}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--cluster.listen-address=",
            "--log.level=error",
        )
        try:
            url = f"http://127.0.0.1:{port}/-/ready"
            await eventually("Alertmanager is ready", lambda: _ready(url))
            yield process.pid
        finally:
            process.kill()
            await process.wait()


async def _ready(url: str) -> bool:
    try:
        async with aiohttp.ClientSession() as http, http.get(url) as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False


def _bodies(workload: Workload) -> list[str]:
    made = ([_alert(workload, event) for event in events] for events in workload.slices())
    return [orjson.dumps(alerts).decode() for alerts in made]


def _alert(workload: Workload, event: int) -> dict[str, Any]:
    """The same alert in the form of Alertmanager's API."""
    data: Any = cloudevent(workload, event)["data"]
    labels = {
        **data["labels"],
        "alertname": data["key"],
        "service": data["service"],
        "severity": data["severity"],
    }
    return {"labels": labels, "annotations": data["annotations"] | {"summary": data["summary"]}}


def _things(page: Any) -> list[int]:
    return [thing_in(alert["annotations"]["summary"]) for alert in page["alerts"]]
