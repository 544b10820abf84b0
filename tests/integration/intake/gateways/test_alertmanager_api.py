"""A real Prometheus with a rule, and amtool, where they are installed (Debian: prometheus,
prometheus-alertmanager).
"""

import asyncio
import gzip
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
from aiohttp import web

from services.intake.app import make_api
from services.intake.gateways.http import Services
from services.intake.handlers import Handlers
from services.intake.incidents.known_alerts import KnownAlerts
from services.intake.integrations.key_ring import KeyRing
from services.intake.integrations.store import create_key
from shared.runtime.clock import system_clock
from tests.integration.intake.conftest import POLICY, World, committing
from tests.support.http import listening, served
from tests.support.running import eventually, free_port

PROMETHEUS = shutil.which("prometheus") or ""
AMTOOL = shutil.which("amtool") or ""
START = "2026-03-01T09:00:00Z"
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
CONFIG = """
global: {{scrape_interval: 250ms, evaluation_interval: 250ms}}
rule_files: [rules.yml]
scrape_configs:
  - job_name: disks
    static_configs: [{{targets: ["{metrics}"]}}]
alerting:
  alertmanagers:
    - path_prefix: /v1/alertmanager
      authorization: {{credentials: "{keys[bearer]}"}}
      static_configs: [{{targets: ["{intake}"]}}]
    - path_prefix: /v1/alertmanager
      basic_auth: {{username: any, password: "{keys[basic]}"}}
      static_configs: [{{targets: ["{intake}"]}}]
    - path_prefix: /v1/alertmanager/{keys[path]}
      static_configs: [{{targets: ["{intake}"]}}]
"""
RULES = """
groups:
  - name: disks
    rules:
      - alert: DiskFull
        expr: disk_used_ratio > 0.9
        labels: {severity: critical, service: checkout}
        annotations: {summary: "{{ $labels.device }} is {{ $value | humanizePercentage }} full"}
"""


@pytest.fixture
async def intake(world: World) -> AsyncIterator[str]:
    """Intake by the machine's clock, as the programs of others go by it."""
    handlers = Handlers(lambda: POLICY, system_clock)
    async with committing(world.database, handlers.take_new, handlers.take) as commit:
        keys = KeyRing(world.database, system_clock)
        lookup = KnownAlerts(world.database).find
        api = make_api(Services(keys, commit.submit, lookup, system_clock))
        async with served(api) as address:
            yield address


@pytest.fixture
async def jumping(world: World) -> AsyncIterator[str]:
    """The prefix of the API by a clock that jumps."""
    async with committing(world.database, world.handlers.take_new, world.handlers.take) as commit:
        keys = KeyRing(world.database, lambda: world.clock[0])
        lookup = KnownAlerts(world.database).find
        api = make_api(Services(keys, commit.submit, lookup, lambda: world.clock[0]))
        async with served(api) as address:
            yield f"{address}/v1/alertmanager"


async def key_of(world: World, name: str) -> str:
    async with world.database.transaction() as connection:
        return await create_key(connection, name, None, system_clock())


async def incidents(world: World) -> list[tuple[str, str]]:
    rows = await world.rows("SELECT origin, status FROM incidents ORDER BY origin")
    return [(row["origin"], row["status"]) for row in rows]


@dataclass
class Disks:
    """What Prometheus watches."""

    used: float

    async def metrics(self, _: web.Request) -> web.Response:
        return web.Response(text=f'disk_used_ratio{{device="sda1"}} {self.used}\n')


@asynccontextmanager
async def prometheus(folder: Path, **names: Any) -> AsyncIterator[None]:
    (folder / "prometheus.yml").write_text(CONFIG.format(**names))
    (folder / "rules.yml").write_text(RULES)
    process = await asyncio.create_subprocess_exec(
        PROMETHEUS,
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{free_port()}",
        "--log.level=error",
    )
    try:
        yield
    finally:
        process.kill()
        await process.wait()


@pytest.mark.skipif(not PROMETHEUS, reason="no Prometheus is installed")
async def test_a_rule_of_prometheus_opens_and_clears_incidents(
    world: World, intake: str, tmp_path: Path
) -> None:
    keys = {name: await key_of(world, name) for name in ("bearer", "basic", "path")}
    disks = Disks(used=0.95)
    app = web.Application()
    app.add_routes([web.get("/metrics", disks.metrics)])
    async with (
        listening(app) as watched,
        prometheus(
            tmp_path,
            keys=keys,
            intake=intake.removeprefix("http://"),
            metrics=watched.removeprefix("http://"),
        ),
    ):

        async def reached(status: str) -> bool:
            expected = [(f"{name} alertmanager-api", status) for name in sorted(keys)]
            return await incidents(world) == expected

        await eventually("an incident of each integration is open", partial(reached, "open"))
        (row,) = await world.rows(
            "SELECT DISTINCT service, severity, summary FROM incidents ORDER BY 1"
        )
        assert tuple(row.values()) == ("checkout", "critical", "sda1 is 95% full")
        async with aiohttp.ClientSession() as http:
            (alert,) = await listed(http, f"{intake}/v1/alertmanager/{keys['path']}")
        assert alert["labels"] == {
            "alertname": "DiskFull",
            "device": "sda1",
            "instance": watched.removeprefix("http://"),
            "job": "disks",
            "service": "checkout",
            "severity": "critical",
        }
        disks.used = 0.5
        await eventually("they are cleared", partial(reached, "cleared"))
        async with aiohttp.ClientSession() as http:
            assert await listed(http, f"{intake}/v1/alertmanager/{keys['path']}") == []


async def listed(http: aiohttp.ClientSession, base: str) -> Any:
    async with http.get(f"{base}/api/v2/alerts") as answer:
        assert answer.status == 200, await answer.text()
        return await answer.json()


async def amtool(base: str, *arguments: str) -> str:
    """What amtool prints; it must succeed."""
    process = await asyncio.create_subprocess_exec(
        AMTOOL,
        f"--alertmanager.url={base}",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    return output.decode()


@pytest.mark.skipif(not AMTOOL, reason="no amtool is installed")
async def test_amtool_adds_and_queries_alerts(world: World, intake: str) -> None:
    key = await key_of(world, "ops")
    base = f"{intake.replace('http://', f'http://any:{key}@')}/v1/alertmanager"
    for instance in ("db-3", "db-4"):
        named = ["alertname=DiskFull", f"instance={instance}", "severity=critical"]
        await amtool(base, "alert", "add", *named, "--annotation=summary=disk full")
    found = orjson.loads(await amtool(base, "-o", "json", "alert", "query", "instance=~db-[34]"))
    assert sorted(alert["labels"]["instance"] for alert in found) == ["db-3", "db-4"]
    assert found[0]["annotations"] == {"summary": "disk full"}
    one = orjson.loads(await amtool(base, "-o", "json", "alert", "query", "instance!=db-3"))
    assert [alert["labels"]["instance"] for alert in one] == ["db-4"]
    over = ["alert", "add", "DiskFull", "instance=db-4", "severity=critical"]
    await amtool(base, *over, "--end=2026-01-01T00:00:00Z", "--start=2025-01-01T00:00:00Z")
    assert "db-4" not in await amtool(base, "-o", "extended", "alert", "query")
    assert await incidents(world) == [
        ("ops alertmanager-api", "open"),
        ("ops alertmanager-api", "cleared"),
    ]
    assert "disabled" in await amtool(base, "cluster", "show")
    assert "receiver: tocsin" in await amtool(base, "config", "show")
    assert "tocsin" in await amtool(base, "config", "routes", "test", "alertname=DiskFull")
    assert orjson.loads(await amtool(base, "-o", "json", "silence", "query")) == []


async def test_the_protocols_own_answers(
    world: World, intake: str, http: aiohttp.ClientSession
) -> None:
    base = f"{intake}/v1/alertmanager"
    for path in ("/-/ready", "/-/healthy"):
        for call in (http.get, http.head):
            async with call(base + path) as answer:
                assert answer.status == 200
                assert await answer.text() == ("OK" if call == http.get else "")
    good: Any = {"labels": {"alertname": "Good"}}
    bad: Any = {"labels": {}}
    async with http.post(f"{base}/api/v2/alerts", json=[good, bad]) as answer:
        assert (answer.status, await answer.json()) == (
            400,
            "[1].labels: at least one label with a value is required",
        )
    assert len(await listed(http, base)) == 1, "the good one is kept"
    async with http.get(f"{base}/api/v2/alerts?filter=x~y") as answer:
        assert answer.status == 400
        assert "bad matcher format" in await answer.json()
    async with aiohttp.ClientSession() as stranger:
        for url in (f"{base}/api/v2/alerts", f"{base}/{'x' * 32}/api/v2/alerts"):
            async with stranger.post(url, json=[good]) as answer:
                assert (answer.status, (await answer.json())["code"]) == (401, 401)


@pytest.mark.parametrize(
    ("encoding", "body", "status"),
    [
        ("gzip", gzip.compress(b'[{"labels": {"alertname": "Packed"}}]'), 200),
        ("Identity", b'[{"labels": {"alertname": "Plain"}}]', 200),
        ("gzip", gzip.compress(b" " * 100_000_000), 413),
        ("gzip", b"[]", 400),
        ("br", b"[]", 415),
    ],
)
async def test_bodies_are_unpacked_within_bounds(
    intake: str, http: aiohttp.ClientSession, encoding: str, body: bytes, status: int
) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": encoding}
    url = f"{intake}/v1/alertmanager/api/v2/alerts"
    async with http.post(url, data=body, headers=headers) as answer:
        assert answer.status == status, await answer.text()
        assert status != 415 or answer.headers["Accept-Encoding"] == "gzip, deflate"


async def send(http: aiohttp.ClientSession, base: str, ends_at: datetime, name: str) -> None:
    alert = {"labels": {"alertname": name}, "startsAt": START, "endsAt": ends_at.isoformat()}
    async with http.post(f"{base}/api/v2/alerts", json=[alert]) as answer:
        assert answer.status == 200, await answer.text()


async def test_a_late_repeat_is_no_resolution_and_an_end_is_one_at_once(
    world: World, jumping: str, http: aiohttp.ClientSession
) -> None:
    start = world.clock[0]
    await send(http, jumping, start + MINUTE, "Late")
    for late in (1, 30):
        world.clock[0] += MINUTE + timedelta(seconds=late)
        await world.fire_due()
        await send(http, jumping, world.clock[0] + MINUTE, "Late")
    assert await world.rows("SELECT status, signal_count FROM incidents") == [
        {"status": "open", "signal_count": 3}
    ]
    await send(http, jumping, world.clock[0], "Late")
    assert await world.rows("SELECT status FROM incidents") == [{"status": "cleared"}]


async def test_a_sender_whose_clock_is_slow_opens_an_incident_that_says_so(
    world: World, jumping: str, http: aiohttp.ClientSession
) -> None:
    for minute in range(4):
        assert len(await world.rows("SELECT FROM incidents")) == (minute > 1)
        await send(http, jumping, world.clock[0] - 3 * HOUR + 4 * MINUTE, "Slow")
        world.clock[0] += MINUTE
    (alert,) = await listed(http, jumping)
    assert (
        alert["annotations"]["sender_clock"] == "the sender's clock is slow, by more than 176 min"
    )
    world.clock[0] += MINUTE
    await send(http, jumping, world.clock[0] - 3 * HOUR, "Slow")
    assert await world.rows("SELECT status FROM incidents") == [{"status": "cleared"}]
