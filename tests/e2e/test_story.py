"""One outage from the first signal to the report, by public interfaces only, on four real
processes.
"""

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Collection
from pathlib import Path
from typing import Any

import pytest

from tests.support.policies import policy_files
from tests.support.running import SERVICES, Receiver, Running, alert, eventually, running
from tests.support.version import THIS, Version

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
async def tocsin(
    kafka: str, database: str, topic_prefix: str, tmp_path: Path, pages: Receiver, version: Version
) -> AsyncIterator[Running]:
    steps = '{targets: ["user:anastasia"], wait: 2s}', '{targets: ["user:benedict"], wait: 1m}'
    policy = policy_files(pages.url, *steps)
    async with running(kafka, database, topic_prefix, tmp_path, policy, version) as stack:
        yield stack


async def reported(tocsin: Running, incident: str, status: str, signals: int = 1) -> dict[str, Any]:
    """The incident in reporting once it has this status and this many signals, which arrive by
    different topics.
    """

    async def check() -> dict[str, Any] | None:
        found = await tocsin.incident(incident)
        if found and found["status"] == status and (found["signal_count"] or 0) >= signals:
            return found
        return None

    found: dict[str, Any] = await eventually(f"{incident} is {status}", check)
    return found


async def test_an_outage_from_the_first_signal_to_the_report(
    tocsin: Running, pages: Receiver
) -> None:
    answer = await tocsin.signals(alert("1", "disk"), traceparent=TRACE)
    incident = answer["signals"][0]["subject"]

    async def paged(user: str) -> Any:
        return [page for page in pages.received if f".{user}." in page.webhook_id]

    (first,) = await eventually("anastasia is paged", lambda: paged("anastasia"))
    await tocsin.signals(*(alert(f"r{n}", "disk") for n in range(40)))
    await eventually("benedict is paged, as anastasia did not respond", lambda: paged("benedict"))

    link = first.body["data"]["acknowledge_url"]
    for _ in range(10):
        async with tocsin.http.get(link) as page:
            assert page.status == 200
    assert (await reported(tocsin, incident, "triggered"))["acknowledged_at"] is None
    async with tocsin.http.post(link) as page:
        assert page.status == 200
        assert "cknowledged" in await page.text()
    await reported(tocsin, incident, "acknowledged")

    await tocsin.signals(alert("end", "disk", status="resolved"))
    incident_report = await reported(tocsin, incident, "resolved", signals=41)
    assert incident_report["acknowledged_by"] == "anastasia"
    assert incident_report["priority"] == "P1"
    assert incident_report["team"] == "payments"
    assert TRACE.split("-")[1] in str(incident_report)
    assert len(pages.received) == 2, "each of the two was paged once"
    assert await doctors_orders(tocsin) == []
    await tocsin.kill("triage", signal.SIGTERM)
    probe = tocsin.probe("triage", "/readyz")
    assert f"{probe}: does not answer" in "\n".join(await doctors_orders(tocsin, probe))


async def doctors_orders(tocsin: Running, *probes: str) -> list[str]:
    """The problems that `tocsin doctor` finds."""
    options = [option for probe in probes for option in ("--probe", probe)]
    if tocsin.version == THIS:
        return await examined(tocsin, SERVICES, *options)
    # An image knows the schema of its own service alone.
    return [
        problem
        for service in SERVICES
        for problem in await examined(tocsin, [service], "--service", service, *options)
    ]


async def examined(tocsin: Running, services: Collection[str], *options: str) -> list[str]:
    """The problems that one run of it finds; it must speak of these services and of Kafka."""
    doctor = await asyncio.create_subprocess_exec(
        str(tocsin.version.tocsin),
        *("doctor", "--json", *options),
        cwd=tocsin.version.folder,
        env=tocsin.environment,
        stdout=asyncio.subprocess.PIPE,
    )
    printed, _ = await doctor.communicate()
    found = json.loads(printed)["findings"]
    assert {one["about"] for one in found} >= {"kafka", *services}
    problems = [f"{one['about']}: {one['text']}" for one in found if one["severity"] == "problem"]
    assert doctor.returncode == bool(problems)
    return problems
