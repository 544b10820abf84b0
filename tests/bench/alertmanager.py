"""The peer: Alertmanager with the same alerts and the same receiver, where its program is
installed.
"""

import asyncio
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp
import orjson

from deploy.local.ports import choose
from tests.bench.figures import Figures, figures
from tests.bench.generator import Job
from tests.bench.measured import Inbox, run
from tests.bench.workloads import Workload, cloudevent, told_of
from tests.support.running import eventually

NAME = "alertmanager"
# Each alert a group of its own that is notified at once: the counterpart of an incident and its
# page. group_interval stays long, since it is no part of a first notification and a short one makes
# every open group wake all the time.
_CONFIG = """
route: {{receiver: bench, group_by: ['...'], group_wait: 0s, group_interval: 5m, repeat_interval: 4h}}
receivers: [{{name: bench, webhook_configs: [{{url: "{url}/pages", send_resolved: false}}]}}]
"""


def program() -> str | None:
    """Where it is installed."""
    return shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")


async def through_alertmanager(workload: Workload, executable: str, receiver: Inbox) -> Figures:
    """Run it on an Alertmanager without a past, single (no cluster)."""
    with TemporaryDirectory(prefix="tocsin-bench-") as folder:
        config, port = Path(folder) / "alertmanager.yml", choose(1)[0]
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
            await eventually(
                "Alertmanager is ready", lambda: _ready(f"http://127.0.0.1:{port}/-/ready")
            )
            job = Job(
                _bodies(workload),
                ports=[port],
                path="/api/v2/alerts",
                headers={"content-type": "application/json"},
                rate=workload.rate,
            )
            groups = {NAME: [process.pid]}
            return figures(
                NAME, workload, *await run(job, receiver, workload.things, groups, _things)
            )
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
    return [
        orjson.dumps([_alert(workload, event) for event in events]).decode()
        for events in workload.slices()
    ]


def _alert(workload: Workload, event: int) -> dict[str, Any]:
    """The same alert, as Alertmanager's API has it."""
    data: Any = cloudevent(workload, event)["data"]
    labels = data["labels"] | {
        "alertname": data["key"],
        "service": data["service"],
        "severity": data["severity"],
    }
    return {"labels": labels, "annotations": data["annotations"] | {"summary": data["summary"]}}


def _things(page: Any) -> list[int]:
    return [told_of(alert["annotations"]["summary"]) for alert in page["alerts"]]
