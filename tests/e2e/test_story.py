"""One outage, end to end, through public interfaces only, on four real processes."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.running import Receiver, Running, alert, eventually, running

CATALOGUE = """
default_team: platform
services:
  checkout: {team: payments, tier: 1, runbook: "https://runbooks.example/checkout"}
"""
TEAMS = """
default_policy: payments
users:
  ana: {name: Ana, email: ana@example.com, webhook: "URL/ana", methods: [webhook]}
  ben: {name: Ben, email: ben@example.com, webhook: "URL/ben", methods: [webhook]}
teams:
  payments: {policy: payments}
  platform: {policy: payments}
policies:
  payments:
    rounds: 3
    steps:
      - {targets: ["user:ana"], wait: 2s}
      - {targets: ["user:ben"], wait: 1m}
"""
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver().listening() as receiver:
        yield receiver


@pytest.fixture
async def tocsin(
    kafka: str, database: str, topic_prefix: str, tmp_path: Path, receiver: Receiver
) -> AsyncIterator[Running]:
    policy = {"catalogue.yaml": CATALOGUE, "teams.yaml": TEAMS.replace("URL", receiver.url)}
    async with running(kafka, database, topic_prefix, tmp_path, policy) as stack:
        yield stack


async def reported(tocsin: Running, incident: str, status: str) -> dict[str, Any]:
    async def check() -> dict[str, Any] | None:
        found = await tocsin.incident(incident)
        return found if found and found["status"] == status else None

    found: dict[str, Any] = await eventually(f"{incident} is {status}", check)
    return found


async def test_an_outage_from_the_first_signal_to_the_report(tocsin: Running, receiver: Receiver) -> None:
    answer = await tocsin.signals(alert("1", "disk"), traceparent=TRACE)
    incident = answer["signals"][0]["subject"]

    async def paged(user: str) -> Any:
        return [page for page in receiver.received if f".{user}." in page.webhook_id]

    (first,) = await eventually("ana is paged", lambda: paged("ana"))
    await tocsin.signals(*(alert(f"r{n}", "disk") for n in range(40)))
    await eventually("ben is paged, since ana did not answer", lambda: paged("ben"))

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
    story = await reported(tocsin, incident, "resolved")
    assert story["acknowledged_by"] == "ana"
    assert story["priority"] == "P1"
    assert story["team"] == "payments"
    assert story["signal_count"] >= 41
    assert TRACE.split("-")[1] in str(story)
    assert len(receiver.received) == 2, "each of the two was paged once"
