"""One incident is one trace: from whoever published the signal to the resolution, over four
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
    resolved,
    span_id,
    tocsin,
)


async def hung(
    telemetry: Backend,
    trace_id: str,
    edges: set[tuple[str, str]],
    trace: TraceContext | None = None,
) -> None:
    """The edges of a trace come to be exactly these; `publisher` stands for the span that came from
    outside.
    """
    outside = {span_id(trace): "publisher"} if trace else {}

    async def equal() -> bool:
        return telemetry.edges(trace_id, outside) >= edges

    with suppress(AssertionError):  # the comparison says more
        await eventually("all edges are there", equal)
    assert telemetry.edges(trace_id, outside) == edges


async def exported_pages(telemetry: Backend, trace_ids: Sequence[str]) -> bool:
    return all(any(span.name == "page webhook" for span in telemetry.trace(id)) for id in trace_ids)


async def acknowledged(
    stack: Running, publisher: Publisher, ids: Sequence[str], link: str, chat: TraceContext
) -> None:
    """The first by the link in a page, the third by command, the others by API."""
    async with stack.http.post(link) as done:
        assert done.status == 200
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

    async def told() -> bool:
        found = [await stack.incident(id) for id in ids]
        return all(one is not None and one["status"] == "acknowledged" for one in found)

    # A command and an end come by different topics, which promise no order between each other.
    await eventually("all are acknowledged", told)


async def ended(stack: Running, publisher: Publisher, rootless: str) -> None:
    """Three at their source, the last by hand."""
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
        # Four incidents: three whose publisher has a trace and says so in each of the three ways,
        # one without.
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
        await acknowledged(stack, publisher, ids, link, chat)
        await ended(stack, publisher, ids[3])
        stories = [await resolved(stack, id) for id in ids]
        assert [story["trace_id"] for story in stories] == trace_ids

        received = ("tocsin-intake:POST /v1/signals", "tocsin-intake:report incident")
        await hung(
            telemetry, http.trace_id, WAY | CLEARED | {("publisher", received[0]), received}, http
        )
        await hung(
            telemetry,
            kafka_header.trace_id,
            WAY | CLEARED | {("publisher", received[1])},
            kafka_header,
        )
        await hung(
            telemetry, extension.trace_id, WAY | CLEARED | {("publisher", received[1])}, extension
        )
        by_hand = ("tocsin-escalation:escalate", "tocsin-escalation:resolve")
        await hung(telemetry, trace_ids[3], WAY | {("", received[0]), received, by_hand})
        (ordered,) = (s for s in telemetry.trace(extension.trace_id) if s.name == "acknowledge")
        assert ordered.links == ((chat.trace_id, span_id(chat)),)

    people = ["nastasia", "enedict", "mail.example", "Zacharias"]
    secrets = [stack.key, TOKEN, SECRET, pages.url, "token-of", link.rpartition("/")[2]]
    private = [*people, *secrets, SUMMARY, "on my way"]
    left = b"".join(telemetry.bodies)
    assert all(id.encode() in left for id in ids), "what is looked for would be found"
    assert [word for word in private if word.encode() in left] == []
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
    assert linked & own, "the receives are linked to those who sent"
    joins = [span for span in telemetry.spans if span.name == "join incident"]
    assert joins
    assert {span.trace_id for span in joins} <= own, "a repeat is told of in its own trace"
    assert {span.links[0][0] for span in joins} == {first.trace_id}, (
        "and says which incident it joined"
    )
    assert max(len(span.links) for span in joins) <= 128
    assert len(telemetry.trace(first.trace_id)) < 100
    updates = [span for span in telemetry.trace(first.trace_id) if span.name == "update incident"]
    assert updates
    assert {id for span in updates for id, _ in span.links} <= own
