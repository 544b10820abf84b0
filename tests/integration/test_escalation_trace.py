"""One incident is one trace: every span of escalation hangs from where the incident began there."""

from collections.abc import AsyncIterator

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from shared.events.trace_context import new_trace
from shared.events.triage import IncidentSubsided
from tests.support.escalating import Receiver, World, sending, world


@pytest.fixture
async def it(database: str, webhooks: Receiver) -> AsyncIterator[World]:
    async with world(database, webhooks.url) as made:
        yield made


async def test_steps_pages_acknowledgement_and_resolution_are_spans_of_the_incidents_trace(
    it: World, webhooks: Receiver, spans: InMemorySpanExporter
) -> None:
    start, end = new_trace(), None
    async with sending(it):
        (id,) = await it.triaged(1042, trace=start)
        await it.page("sent", user_id="ana")
        it.clock.jump(seconds=60)
        await it.fire_due()
        await it.page("sent", user_id="ben")
        await it.act(id, "acknowledge")
        end = start._replace(traceparent=f"00-{start.trace_id}-{'b' * 16}-01")
        await it.tell((id, it.fact(id, IncidentSubsided)), trace=end)
    finished = spans.get_finished_spans()
    names = {span.context.span_id: span.name for span in finished}
    names |= {int(start.traceparent[36:52], 16): "triage", int("b" * 16, 16): "triage, later"}
    assert {f"{span.context.trace_id:032x}" for span in finished} == {start.trace_id}
    edges = {(names[span.parent.span_id], span.name) for span in finished if span.parent}
    assert edges == {
        ("triage", "escalate"),
        ("escalate", "page webhook"),
        ("escalate", "escalate"),
        ("escalate", "acknowledge"),
        ("triage, later", "resolve"),
    }
    told = {name: event["traceparent"][36:52] for name, event in await it.told()}
    for fact, span in (
        ("PageSent", "page webhook"),
        ("IncidentAcknowledged", "acknowledge"),
        ("IncidentResolved", "resolve"),
    ):
        assert names[int(told[fact], 16)] == span
    assert [hit.headers["traceparent"][36:52] for hit in webhooks.hits] == [
        f"{span.context.span_id:016x}" for span in finished if span.name == "page webhook"
    ]


async def test_who_acts_from_another_trace_is_linked_and_does_not_take_the_incident_away(
    it: World, spans: InMemorySpanExporter
) -> None:
    start, caller = new_trace(), new_trace()
    (id,) = await it.triaged(1042, trace=start)
    await it.act(id, "acknowledge", caller=caller)
    (span,) = (span for span in spans.get_finished_spans() if span.name == "acknowledge")
    assert f"{span.context.trace_id:032x}" == start.trace_id
    assert [f"{link.context.trace_id:032x}" for link in span.links] == [caller.trace_id]
