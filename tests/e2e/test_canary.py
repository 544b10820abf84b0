"""Canaries run their rounds through four real processes, and stay out of everything that people
see.
"""

import asyncio
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import asyncpg

from tests.support.canary import Flock, with_canaries
from tests.support.otlp import Backend, backend
from tests.support.policies import policy_files
from tests.support.running import Receiver, Running, alert, eventually, free_port, running

ANASTASIA = '{targets: ["user:anastasia"], wait: 1h}'


async def listed(tocsin: Running, query: str = "") -> list[dict[str, Any]]:
    async with tocsin.http.get(tocsin.url("reporting", f"/v1/incidents{query}")) as answer:
        incidents: list[dict[str, Any]] = (await answer.json())["incidents"]
        return incidents


async def test_rounds_pass_and_are_kept_out_of_lists_figures_and_pages(
    kafka: str, database: str, topic_prefix: str, tmp_path: Path, pages: Receiver
) -> None:
    flock = Flock("canary", "other", "unreachable")
    receivers = flock.receivers | {"unreachable": f"http://127.0.0.1:{free_port()}/pages"}
    policy = with_canaries(policy_files(pages.url, ANASTASIA), receivers)
    async with (
        backend() as traces,
        running(
            kafka, database, topic_prefix, tmp_path, policy, OTEL_EXPORTER_OTLP_ENDPOINT=traces.url
        ) as tocsin,
    ):
        # Left by a canary that died in the middle of a round.
        left = alert("left", "canary", service="canary") | {"source": "/tocsin/canary/canary"}
        leftover = (await tocsin.signals(left))["signals"][0]["subject"]
        real = (await tocsin.signals(alert("1", "disk")))["signals"][0]["subject"]
        async with flock.on_schedule(tocsin, "other", every="1s") as address:
            # Three at the same time. One is never paged: nothing listens at its policy's address.
            (code, output), (unreachable_code, unreachable_output) = await asyncio.gather(
                flock.once(tocsin, "canary"), flock.once(tocsin, "unreachable", patience="10s")
            )
            assert (code, "passed" in output) == (0, True), output
            assert (unreachable_code, "not paged" in unreachable_output) == (1, True), (
                unreachable_output
            )
            await _passes(tocsin, address, rounds=2)

        found = re.search(r"(INC-\d+)(?s:.*)trace +(\w{32})", output)
        assert found, output
        shown = await tocsin.incident(found[1])
        assert shown
        assert (shown["status"], shown["synthetic"], shown["trace_id"]) == (
            "resolved",
            True,
            found[2],
        )
        await _is_in_the_trace(traces, found[2])
        await _is_in_the_audit_log(database, shown["incident_id"])

        async def all_resolved() -> bool:
            resolved = await listed(tocsin, "?synthetic=true&status=resolved&limit=200")
            services = Counter(incident["service"] for incident in resolved)
            return (services["canary"], services["unreachable"]) == (2, 1) and leftover in {
                i["incident_id"] for i in resolved
            }

        await eventually(
            "the incidents left by the dead and the unreachable canary are resolved", all_resolved
        )
        await _paged_for(pages, real)
        await eventually("the real incident is listed", lambda: listed(tocsin))
        assert [incident["incident_id"] for incident in await listed(tocsin)] == [real]
        async with tocsin.http.get(tocsin.url("reporting", "/v1/metrics")) as answer:
            figures = await answer.json()
        assert (figures["opened"], figures["acknowledged"], figures["resolved"]) == (1, 0, 0)
        async with tocsin.http.get(tocsin.url("reporting", "/")) as answer:
            assert "Synthetic" not in await answer.text()
        assert {page.webhook_id.split(".")[0] for page in pages.received} == {real}, (
            "no person is paged for a canary"
        )


async def _paged_for(pages: Receiver, incident: str) -> None:
    async def find() -> bool:
        return any(page.webhook_id.startswith(incident) for page in pages.received)

    await eventually("anastasia is paged", find)


async def _passes(tocsin: Running, address: str, rounds: int) -> None:
    """Its metrics count this many passed rounds and no failed one."""

    async def passed() -> bool:
        counted = await _rounds(tocsin, address)
        assert counted.keys() <= {"passed"}, counted
        return counted.get("passed", 0) >= rounds

    await eventually(f"{rounds} rounds passed", passed)
    async with tocsin.http.get(f"{address}/metrics") as answer:
        text = await answer.text()
    assert "tocsin_canary_last_success_seconds" in text
    for stage in ("accept", "page", "acknowledge", "resolve", "round"):
        assert f'tocsin_canary_latency_seconds_count{{tocsin_canary_stage="{stage}"}}' in text


async def _rounds(tocsin: Running, address: str) -> Mapping[str, float]:
    try:
        async with tocsin.http.get(f"{address}/metrics") as answer:
            text = await answer.text()
    except OSError:  # it does not listen yet
        return {}
    return {
        result: float(count)
        for result, count in re.findall(
            r'canary_rounds_total{tocsin_canary_result="(\w+)"} (\S+)', text
        )
        if float(count)
    }


async def _is_in_the_trace(traces: Backend, trace_id: str) -> None:
    edges = {
        ("", "tocsin-canary:go round"),
        ("tocsin-canary:go round", "tocsin-intake:POST /v1/signals"),
        ("tocsin-intake:report incident", "tocsin-triage:triage incident"),
        ("tocsin-escalation:escalate", "tocsin-escalation:page webhook"),
        ("tocsin-escalation:escalate", "tocsin-escalation:acknowledge"),
        ("tocsin-triage:triage incident", "tocsin-escalation:resolve"),
    }

    async def exported() -> bool:
        return traces.edges(trace_id, {}) >= edges

    await eventually("its trace has every stage", exported)


async def _is_in_the_audit_log(database: str, incident_id: str) -> None:
    connection = await asyncpg.connect(database)
    try:

        async def recorded() -> bool:
            rows = await connection.fetch(
                "SELECT DISTINCT topic FROM reporting.audit WHERE key = $1", incident_id.encode()
            )
            producers = {row["topic"].split(".")[-2] for row in rows}
            return producers >= {"intake", "triage", "escalation"}

        await eventually("it is in the audit log", recorded)
    finally:
        await connection.close()
