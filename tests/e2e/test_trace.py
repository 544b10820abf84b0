"""One incident is one trace, from the publisher of the signal to the resolution, across four
processes and a kill.
"""

from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from shared.events.trace_context import TraceContext, new_trace
from shared.telemetry.declarations import declared_attributes
from tests.support.otlp import Backend
from tests.support.running import SECRET, TOKEN, Receiver, Running, eventually
from tests.support.tracing import (
    CLEARED,
    SUMMARY,
    WAY,
    Publisher,
    about,
    fault,
    in_trace,
    let_time_pass,
    paged,
    published,
    resolved,
    span_id,
    tocsin,
)


async def expect_edges(
    telemetry: Backend,
    trace_id: str,
    edges: set[tuple[str, str]],
    trace: TraceContext | None = None,
) -> None:
    """Wait until the trace has exactly these edges; `publisher` stands for the span of the other
    system.
    """
    outside = {span_id(trace): "publisher"} if trace else {}

    async def equal() -> bool:
        return telemetry.edges(trace_id, outside) >= edges

    with suppress(AssertionError):  # the comparison below shows more
        await eventually("all edges are there", equal)
    assert telemetry.edges(trace_id, outside) == edges


async def exported_pages(telemetry: Backend, trace_ids: Sequence[str]) -> bool:
    return all(any(span.name == "page webhook" for span in telemetry.trace(id)) for id in trace_ids)


async def acknowledge_all(
    stack: Running, publisher: Publisher, ids: Sequence[str], link: str, chat: TraceContext
) -> None:
    """Acknowledge the first by the link in a page, the third by command, the others by API."""
    async with stack.http.post(link) as response:
        assert response.status == 200
    for id in (ids[1], ids[3]):
        await stack.act("acknowledge", id, by="Zacharias")
    order = {"incident_id": ids[2], "by": "Zacharias", "note": "on my way"}
    envelope = {
        "specversion": "1.0",
        "id": "1",
        "source": "/chat",
        "type": "tocsin.commands.AcknowledgeIncident",
    }
    await publisher.structured(
        envelope | {"traceparent": chat.traceparent, "data": order}, topic="tocsin.commands.v1"
    )

    async def all_acknowledged() -> bool:
        found = [await stack.incident(id) for id in ids]
        return all(one is not None and one["status"] == "acknowledged" for one in found)

    # Commands and signals arrive by different topics, which have no common order.
    await eventually("all are acknowledged", all_acknowledged)


async def resolve_all(stack: Running, publisher: Publisher, rootless: str) -> None:
    """Resolve three at their source and the last by API."""
    await stack.signals(fault("h end", "by http", status="resolved"))
    await publisher.binary(fault("k end", "by kafka", status="resolved"), traces=[new_trace()])
    await publisher.structured(fault("e end", "by extension", status="resolved"))
    await stack.act("resolve", rootless, by="Zacharias")


async def test_an_incident_is_one_trace_from_its_publisher_to_its_resolution(
    kafka: str,
    database: str,
    topic_prefix: str,
    tmp_path: Path,
    pages: Receiver,
    telemetry: Backend,
    publisher: Publisher,
) -> None:
    http, kafka_header, extension = new_trace(), new_trace(), new_trace()
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": telemetry.url}
    async with tocsin(kafka, database, topic_prefix, tmp_path, pages, **environment) as stack:
        # Four incidents: three whose publisher passes its trace in one of three ways, and one
        # without.
        await stack.signals(fault("h", "by http"), traceparent=http.traceparent)
        await publisher.binary(fault("k", "by kafka"), traces=[kafka_header])
        await publisher.structured(
            fault("e", "by extension") | {"traceparent": extension.traceparent}
        )
        answer = await stack.signals(fault("n", "by nobody"))
        rootless = answer["signals"][0]["subject"]
        first = [
            await paged(pages, "anastasia", in_trace(it.trace_id))
            for it in (http, kafka_header, extension)
        ]
        first.append(await paged(pages, "anastasia", about(rootless)))
        ids = [page.webhook_id.split(".")[0] for page in first]
        trace_ids = [page.headers["traceparent"][3:35] for page in first]

        # Escalation dies between the two steps.
        await eventually(
            "the first pages are exported", partial(exported_pages, telemetry, trace_ids)
        )
        assert not [page for page in pages.received if ".benedict." in page.webhook_id]
        await stack.kill("escalation")
        await let_time_pass(database)
        await stack.start("escalation")
        second = [await paged(pages, "benedict", in_trace(id)) for id in trace_ids]
        assert [page.webhook_id.split(".")[0] for page in second] == ids

        link, chat = second[0].body["data"]["acknowledge_url"], new_trace()
        await acknowledge_all(stack, publisher, ids, link, chat)
        await resolve_all(stack, publisher, ids[3])
        reports = [await resolved(stack, id) for id in ids]
        assert [report["trace_id"] for report in reports] == trace_ids

        received = ("tocsin-intake:POST /v1/signals", "tocsin-intake:report incident")
        await expect_edges(
            telemetry, http.trace_id, WAY | CLEARED | {("publisher", received[0]), received}, http
        )
        await expect_edges(
            telemetry,
            kafka_header.trace_id,
            WAY | CLEARED | {("publisher", received[1])},
            kafka_header,
        )
        await expect_edges(
            telemetry, extension.trace_id, WAY | CLEARED | {("publisher", received[1])}, extension
        )
        by_hand = ("tocsin-escalation:escalate", "tocsin-escalation:resolve")
        await expect_edges(telemetry, trace_ids[3], WAY | {("", received[0]), received, by_hand})
        (ordered,) = (s for s in telemetry.trace(extension.trace_id) if s.name == "acknowledge")
        assert ordered.links == ((chat.trace_id, span_id(chat)),)
        # What a stop interrupts is a failed span.
        await eventually("all is published", partial(published, database, "reporting"))

    people = ["nastasia", "enedict", "mail.example", "Zacharias"]
    secrets = [stack.key, TOKEN, SECRET, pages.url, "token-of", link.rpartition("/")[2]]
    private = [*people, *secrets, SUMMARY, "on my way"]
    exported = b"".join(telemetry.bodies)
    assert all(id.encode() in exported for id in ids), "the search below works"
    assert [word for word in private if word.encode() in exported] == []
    assert {name for span in telemetry.spans for name in span.attributes} <= {
        attribute.name for attribute in declared_attributes()
    }
    assert [span.label for span in telemetry.spans if span.error] == []


async def test_a_storm_is_linked_to_its_incident_and_does_not_flood_its_trace(
    kafka: str,
    database: str,
    topic_prefix: str,
    tmp_path: Path,
    pages: Receiver,
    telemetry: Backend,
    publisher: Publisher,
) -> None:
    first, storm = new_trace(), [new_trace() for _ in range(400)]
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": telemetry.url}
    async with tocsin(kafka, database, topic_prefix, tmp_path, pages, **environment) as stack:
        await publisher.binary(fault("1", "storm"), traces=[first])
        page = await paged(pages, "anastasia", in_trace(first.trace_id))
        await publisher.binary(*(fault(f"r{n}", "storm") for n in range(400)), traces=storm)

        async def counted() -> bool:
            found = await stack.incident(page.webhook_id.split(".")[0])
            return found is not None and found["signal_count"] == 401

        await eventually("the storm is counted in the incident", counted)
    batches = [
        span for span in telemetry.spans if span.attributes.get("messaging.system") == "kafka"
    ]
    assert {span.name.split(" ")[0]: (span.kind, span.parent_id) for span in batches} == {
        "send": ("client", ""),
        "process": ("consumer", ""),
    }
    assert 1 < max(len(span.links) for span in batches) <= 128
    own = {trace.trace_id for trace in storm}
    linked = {
        id for span in batches if span.name == "process tocsin.signals.v1" for id, _ in span.links
    }
    assert linked & own, "batch spans are linked to the publishers"
    joins = [span for span in telemetry.spans if span.name == "join incident"]
    assert joins
    assert {span.trace_id for span in joins} <= own, "a repeat has a span in its own trace"
    assert {span.links[0][0] for span in joins} == {first.trace_id}, (
        "and links to the incident that it joined"
    )
    assert max(len(span.links) for span in joins) <= 128
    assert len(telemetry.trace(first.trace_id)) < 100
    updates = [span for span in telemetry.trace(first.trace_id) if span.name == "update incident"]
    assert updates
    assert {id for span in updates for id, _ in span.links} <= own
