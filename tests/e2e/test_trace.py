"""One incident is one trace: from whoever published the signal to the resolution, over four processes and a kill."""

import asyncio
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, get_args

import orjson
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.structs import ConsumerRecord

from shared.telemetry import Attribute
from shared.trace_context import TraceContext, new_trace
from tests.support.otlp import Backend, backend
from tests.support.reading import reading
from tests.support.running import SECRET, SERVICES, TOKEN, Received, Receiver, Running, alert, eventually, running

CATALOGUE = """
default_team: platform
services:
  checkout: {team: payments, tier: 1, runbook: "https://runbooks.example/checkout"}
"""
TEAMS = """
default_policy: payments
users:
  anastasia: {name: Anastasia, email: an@mail.example, webhook: "URL/token-of-anastasia", methods: [webhook]}
  benedict: {name: Benedict, email: be@mail.example, webhook: "URL/token-of-benedict", methods: [webhook]}
teams:
  payments: {policy: payments}
  platform: {policy: payments}
policies:
  payments:
    rounds: 3
    steps:
      - {targets: ["user:anastasia"], wait: 6s}
      - {targets: ["user:benedict"], wait: 1m}
"""
INTAKE = "update_interval: 0s\n"
SUMMARY = "the card of the customer is refused"
GRACE_SECONDS = 10

WAY = {
    ("tocsin-intake:report incident", "tocsin-triage:triage incident"),
    ("tocsin-triage:triage incident", "tocsin-escalation:escalate"),
    ("tocsin-escalation:escalate", "tocsin-escalation:page webhook"),
    ("tocsin-escalation:escalate", "tocsin-escalation:escalate"),
    ("tocsin-escalation:escalate", "tocsin-escalation:acknowledge"),
}
"""From the report to the acknowledgement, the same for every incident that two steps paged for."""

CLEARED = {
    ("tocsin-intake:report incident", "tocsin-intake:clear incident"),
    ("tocsin-intake:clear incident", "tocsin-triage:triage incident"),
    ("tocsin-triage:triage incident", "tocsin-escalation:resolve"),
}
"""It ended at its source."""


@pytest.fixture
async def pages() -> AsyncIterator[Receiver]:
    async with Receiver().listening() as receiver:
        yield receiver


@pytest.fixture
async def traces() -> AsyncIterator[Backend]:
    async with backend() as listening:
        yield listening


@asynccontextmanager
async def tocsin(
    kafka: str, database: str, prefix: str, folder: Path, pages: Receiver, **environment: str
) -> AsyncIterator[Running]:
    policy = {"catalogue.yaml": CATALOGUE, "teams.yaml": TEAMS.replace("URL", pages.url), "intake.yaml": INTAKE}
    # Soon, so that a process that is killed has exported what the test saw it do.
    fast = {"OTEL_BSP_SCHEDULE_DELAY": "50"}
    async with running(kafka, database, prefix, folder, policy, **fast | environment) as stack:
        yield stack


class Publisher:
    """Another system, with traces of its own, on the signals topic."""

    def __init__(self, producer: AIOKafkaProducer, prefix: str) -> None:
        self._producer = producer
        self._prefix = prefix

    async def structured(self, event: dict[str, Any], topic: str = "tocsin.signals.v1") -> None:
        """All of the event in the value; a trace, if any, as CloudEvents extension."""
        await self._producer.send_and_wait(self._prefix + topic, orjson.dumps(event))

    async def binary(self, *events: dict[str, Any], traces: list[TraceContext]) -> None:
        """Attributes in headers, the trace in Kafka's `traceparent`; all in one partition, as fast as it goes."""
        sent = []
        for event, trace in zip(events, traces, strict=True):
            headers = [(f"ce_{name}", value.encode()) for name, value in event.items() if name != "data"]
            headers += [("content-type", b"application/json"), ("traceparent", trace.traceparent.encode())]
            value = orjson.dumps(event["data"])
            sent.append(
                await self._producer.send(self._prefix + "tocsin.signals.v1", value, headers=headers, partition=0)
            )
        await asyncio.gather(*sent)


@pytest.fixture
async def publisher(kafka: str, topic_prefix: str) -> AsyncIterator[Publisher]:
    producer = AIOKafkaProducer(bootstrap_servers=kafka)
    await producer.start()
    try:
        yield Publisher(producer, topic_prefix)
    finally:
        await producer.stop()


def fault(signal_id: str, key: str, **data: Any) -> dict[str, Any]:
    return alert(signal_id, key, summary=SUMMARY, **data)


def span_id(position: TraceContext) -> str:
    return position.traceparent.split("-")[2]


async def paged(pages: Receiver, user: str, matches: Callable[[Received], bool]) -> Received:
    async def find() -> Received | None:
        return next((p for p in pages.received if f".{user}." in p.webhook_id and matches(p)), None)

    found: Received = await eventually(f"{user} is paged", find)
    return found


def about(incident: str) -> Callable[[Received], bool]:
    return lambda page: page.webhook_id.startswith(incident)


def in_trace(trace_id: str) -> Callable[[Received], bool]:
    return lambda page: page.headers["traceparent"][3:35] == trace_id


async def resolved(tocsin: Running, incident: str) -> dict[str, Any]:
    async def check() -> dict[str, Any] | None:
        found = await tocsin.incident(incident)
        return found if found and found["status"] == "resolved" else None

    found: dict[str, Any] = await eventually(f"{incident} is resolved", check)
    return found


async def hung(traces: Backend, trace_id: str, edges: set[tuple[str, str]], trace: TraceContext | None = None) -> None:
    """The edges of a trace come to be exactly these; `publisher` stands for the span that came from outside."""
    outside = {span_id(trace): "publisher"} if trace else {}

    async def equal() -> bool:
        return traces.edges(trace_id, outside) >= edges

    with suppress(AssertionError):  # the comparison says more
        await eventually("all edges are there", equal, 10)
    assert traces.edges(trace_id, outside) == edges


async def test_an_incident_is_one_trace_from_its_publisher_to_its_resolution(
    kafka: str,
    database: str,
    topic_prefix: str,
    tmp_path: Path,
    pages: Receiver,
    traces: Backend,
    publisher: Publisher,
) -> None:
    http, kafka_header, extension = new_trace(), new_trace(), new_trace()
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": traces.url}
    async with tocsin(kafka, database, topic_prefix, tmp_path, pages, **environment) as stack:
        # Four incidents: three whose publisher has a trace and says so in each of the three ways, one without.
        await stack.signals(fault("h", "by http"), traceparent=http.traceparent)
        await publisher.binary(fault("k", "by kafka"), traces=[kafka_header])
        await publisher.structured(fault("e", "by extension") | {"traceparent": extension.traceparent})
        answer = await stack.signals(fault("n", "by nobody"))
        rootless = answer["signals"][0]["subject"]
        first = [await paged(pages, "anastasia", in_trace(it.trace_id)) for it in (http, kafka_header, extension)]
        first.append(await paged(pages, "anastasia", about(rootless)))
        ids = [page.webhook_id.split(".")[0] for page in first]
        trace_ids = [page.headers["traceparent"][3:35] for page in first]

        # Escalation dies between the two steps.
        async def exported() -> bool:
            return all(any(s.name == "page webhook" for s in traces.trace(id)) for id in trace_ids)

        await eventually("the first pages are exported", exported)
        assert not [page for page in pages.received if ".benedict." in page.webhook_id]
        await stack.kill("escalation")
        await stack.start("escalation")
        second = [await paged(pages, "benedict", in_trace(id)) for id in trace_ids]
        assert [page.webhook_id.split(".")[0] for page in second] == ids

        # It is acknowledged by link, by API and by command, and ends at its source, or by hand.
        async with stack.http.post(second[0].body["data"]["acknowledge_url"]) as done:
            assert done.status == 200
        await stack.act("acknowledge", ids[1], by="Zacharias")
        order = {"incident_id": ids[2], "by": "Zacharias", "note": "on my way"}
        envelope = {"specversion": "1.0", "id": "1", "source": "/chat", "type": "tocsin.commands.AcknowledgeIncident"}
        chat = new_trace()
        await publisher.structured(
            envelope | {"traceparent": chat.traceparent, "data": order}, topic="tocsin.commands.v1"
        )
        await stack.act("acknowledge", ids[3], by="Zacharias")
        await stack.signals(fault("h end", "by http", status="resolved"))
        await publisher.binary(fault("k end", "by kafka", status="resolved"), traces=[new_trace()])
        await publisher.structured(fault("e end", "by extension", status="resolved"))
        await stack.act("resolve", ids[3], by="Zacharias")
        stories = [await resolved(stack, id) for id in ids]
        assert [story["trace_id"] for story in stories] == trace_ids

        received = ("tocsin-intake:POST /v1/signals", "tocsin-intake:report incident")
        await hung(traces, http.trace_id, WAY | CLEARED | {("publisher", received[0]), received}, http)
        await hung(traces, kafka_header.trace_id, WAY | CLEARED | {("publisher", received[1])}, kafka_header)
        await hung(traces, extension.trace_id, WAY | CLEARED | {("publisher", received[1])}, extension)
        by_hand = ("tocsin-escalation:escalate", "tocsin-escalation:resolve")
        await hung(traces, trace_ids[3], WAY | {("", received[0]), received, by_hand})
        (ordered,) = (s for s in traces.trace(extension.trace_id) if s.name == "acknowledge")
        assert ordered.links == ((chat.trace_id, span_id(chat)),)

    acknowledge_token = second[0].body["data"]["acknowledge_url"].rpartition("/")[2]
    people = ["nastasia", "enedict", "mail.example", "Zacharias"]
    private = [*people, stack.key, TOKEN, SECRET, pages.url, "token-of", acknowledge_token, SUMMARY, "on my way"]
    left = b"".join(traces.bodies)
    assert all(id.encode() in left for id in ids), "what is looked for would be found"
    assert [word for word in private if word.encode() in left] == []
    assert {name for span in traces.spans for name in span.attributes} <= set(get_args(Attribute))
    assert [span.label for span in traces.spans if span.error] == []


async def test_a_storm_is_linked_to_its_incident_and_does_not_flood_its_trace(
    kafka: str,
    database: str,
    topic_prefix: str,
    tmp_path: Path,
    pages: Receiver,
    traces: Backend,
    publisher: Publisher,
) -> None:
    first, storm = new_trace(), [new_trace() for _ in range(400)]
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": traces.url}
    async with tocsin(kafka, database, topic_prefix, tmp_path, pages, **environment) as stack:
        await publisher.binary(fault("1", "storm"), traces=[first])
        page = await paged(pages, "anastasia", in_trace(first.trace_id))
        await publisher.binary(*(fault(f"r{n}", "storm") for n in range(400)), traces=storm)
        incident = page.webhook_id.split(".")[0]
        await stack.act("resolve", incident)
        await resolved(stack, incident)

        async def all_received() -> bool:
            batches = [s for s in traces.spans if s.label == "tocsin-intake:process tocsin.signals.v1"]
            return sum(int(s.attributes["messaging.batch.message_count"]) for s in batches) >= 401

        await eventually("the receives are exported", all_received)
    batches = [span for span in traces.spans if span.attributes.get("messaging.system") == "kafka"]
    assert {span.name.split(" ")[0]: (span.kind, span.parent_id) for span in batches} == {
        "send": ("client", ""),
        "process": ("consumer", ""),
    }
    assert 1 < max(len(span.links) for span in batches) <= 128
    own = {trace.trace_id for trace in storm}
    linked = {id for span in batches if span.name == "process tocsin.signals.v1" for id, _ in span.links}
    assert linked & own, "the receives are linked to those who sent"
    joins = [span for span in traces.spans if span.name == "join incident"]
    assert joins
    assert {span.trace_id for span in joins} <= own, "a repeat is told of in its own trace"
    assert {span.links[0][0] for span in joins} == {first.trace_id}, "and says which incident it joined"
    assert max(len(span.links) for span in joins) <= 128
    assert len(traces.trace(first.trace_id)) < 100
    updates = [span for span in traces.trace(first.trace_id) if span.name == "update incident"]
    assert updates
    assert {id for span in updates for id, _ in span.links} <= own


@contextmanager
def silent() -> Iterator[str]:
    """A socket that takes connections and never says a word."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(100)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


@contextmanager
def environment_of(case: str) -> Iterator[dict[str, str]]:
    if case == "off":
        yield {}
        return
    with silent() as url:
        if case == "hanging":
            yield {"OTEL_EXPORTER_OTLP_ENDPOINT": url}
    if case == "down":
        yield {"OTEL_EXPORTER_OTLP_ENDPOINT": url}


@pytest.mark.parametrize("case", ["off", "down", "hanging"])
async def test_without_a_backend_incidents_page_as_ever_and_keep_their_trace(
    case: str, kafka: str, database: str, topic_prefix: str, tmp_path: Path, pages: Receiver
) -> None:
    publisher = new_trace()
    topics = [f"{topic_prefix}tocsin.{name}.v1" for name in ("intake", "triage", "escalation", "incidents")]
    with environment_of(case) as environment:
        async with tocsin(kafka, database, topic_prefix, tmp_path, pages, **environment) as stack:
            adopted = await stack.signals(fault("1", "disk"), traceparent=publisher.traceparent)
            own = await stack.signals(fault("2", "net"))
            ids = [answer["signals"][0]["subject"] for answer in (adopted, own)]
            first = [await paged(pages, "anastasia", about(id)) for id in ids]
            trace_of = {page.webhook_id.split(".")[0]: page.headers["traceparent"][3:35] for page in first}
            assert trace_of[ids[0]] == publisher.trace_id
            assert trace_of[ids[1]] not in (publisher.trace_id, "0" * 32)
            await stack.act("acknowledge", ids[0])
            await stack.signals(fault("1 end", "disk", status="resolved"), fault("2 end", "net", status="resolved"))
            assert {id: (await resolved(stack, id))["trace_id"] for id in ids} == trace_of

            everywhere = {(topic, id) for topic in topics for id in ids}
            async with reading(kafka, *topics) as reader:
                await reader.until("each incident on every topic", lambda records: {*map(place, records)} >= everywhere)
            for record in reader.records:
                assert dict(record.headers)["traceparent"].decode()[3:35] == trace_of[place(record)[1]], record.topic

            async with asyncio.timeout(GRACE_SECONDS):
                ends = await asyncio.gather(*(stack.kill(service, signal.SIGTERM) for service in SERVICES))
            assert ends == [0, 0, 0, 0]


def place(record: ConsumerRecord[bytes, bytes]) -> tuple[str, str]:
    return record.topic, (record.key or b"").decode()
