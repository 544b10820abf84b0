"""An incident in a real trace backend, as operators see it in Jaeger and everybody in the
console.
"""

import asyncio
import html
import signal
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from time import time

import pytest

from shared.events.trace_context import new_trace
from tests.support.jaeger import Jaeger, edges, jaeger, publishing
from tests.support.running import TOKEN, Receiver, Truth, eventually
from tests.support.tracing import CLEARED, WAY, about, fault, let_time_pass, paged, resolved, tocsin

LATER_SECONDS = 30
PUBLISHED = {
    ("", "checkout-probe:probe"),
    ("checkout-probe:probe", "tocsin-intake:POST /v1/signals"),
    ("tocsin-intake:POST /v1/signals", "tocsin-intake:report incident"),
}
BATCHES = [
    ("tocsin-intake", "send tocsin.intake.v1"),
    ("tocsin-triage", "process tocsin.intake.v1"),
    ("tocsin-triage", "send tocsin.triage.v1"),
    ("tocsin-escalation", "process tocsin.triage.v1"),
    ("tocsin-escalation", "send tocsin.escalation.v1"),
    ("tocsin-intake", "process tocsin.escalation.v1"),
    ("tocsin-reporting", "process tocsin.intake.v1"),
    ("tocsin-reporting", "process tocsin.triage.v1"),
    ("tocsin-reporting", "process tocsin.escalation.v1"),
    ("tocsin-reporting", "send tocsin.incidents.v1"),
]
"""Batch spans of the hops over Kafka, linked to the traces of the messages in the batch."""


@pytest.fixture
async def backend(tmp_path: Path) -> AsyncIterator[Jaeger]:
    async with jaeger(tmp_path) as running:
        yield running


async def linked(backend: Jaeger, service: str, name: str, trace_id: str) -> Truth:
    found = await backend.find(service, name)
    return Truth(any(trace_id in span.links for span in found), f"{len(found)} such spans")


async def test_an_incident_is_one_trace_in_jaeger_over_a_restart_and_a_late_acknowledgement(
    kafka: str, database: str, topic_prefix: str, tmp_path: Path, pages: Receiver, backend: Jaeger
) -> None:
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": backend.otlp, "TOCSIN_TRACES_API": backend.query}
    async with tocsin(kafka, database, topic_prefix, tmp_path, pages, **environment) as stack:
        with publishing(backend.otlp, "checkout-probe", "probe") as traceparent:
            accepted = await stack.signals(fault("1", "disk"), traceparent=traceparent)
        incident, trace_id = accepted["signals"][0]["subject"], traceparent.split("-")[1]
        await paged(pages, "anastasia", about(incident))
        paged_at = time()

        # Escalation is restarted; the process that stops still exports its spans.
        assert await stack.kill("escalation", signal.SIGTERM) == 0
        await let_time_pass(database)
        await stack.start("escalation")
        await paged(pages, "benedict", about(incident))

        # The acknowledgement is late.
        await asyncio.sleep(max(0.0, paged_at + LATER_SECONDS - time()))
        caller = new_trace()
        async with stack.http.post(
            stack.url("escalation", f"/v1/incidents/{incident}/acknowledge"),
            json={"by": "benedict"},
            headers={"Authorization": f"Bearer {TOKEN}", "traceparent": caller.traceparent},
        ) as response:
            assert response.status == 200, await response.text()
        await stack.signals(fault("2", "disk", status="resolved"))
        assert (await resolved(stack, incident))["trace_id"] == trace_id

        async def complete() -> Truth:
            seen = edges(await backend.trace(trace_id))
            return Truth(seen == PUBLISHED | WAY | CLEARED, str(seen ^ (PUBLISHED | WAY | CLEARED)))

        await eventually("its trace has exactly the expected edges", complete)
        spans = await backend.trace(trace_id)
        assert {span.trace_id for span in spans} == {trace_id}
        (first_page, _) = sorted(
            span.start for span in spans if span.label == "tocsin-escalation:page webhook"
        )
        (acknowledged,) = (span for span in spans if span.label == "tocsin-escalation:acknowledge")
        assert acknowledged.start - first_page >= LATER_SECONDS
        assert acknowledged.links == (caller.trace_id,)

        for service, name in BATCHES:
            await eventually(
                f"{name} of {service} is linked to it",
                partial(linked, backend, service, name, trace_id),
            )

        async with stack.http.get(stack.url("reporting", f"/incidents/{incident}/trace")) as answer:
            drawn = html.unescape(await answer.text())
        for span in spans:
            assert f'id="span-{span.span_id}"' in drawn, span
        assert "that the trace backend does not have" not in drawn
        assert drawn.count("<rect class=") == len(spans), "one bar or mark for each span"
        assert "<rect x=" in drawn, "the wait before the acknowledgement is shortened"
