"""A trace backend that is missing, down or hangs costs spans and nothing else: no page, no trace
id, no delay of a stop.
"""

import asyncio
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from aiokafka.structs import ConsumerRecord

from shared.events.trace_context import new_trace
from tests.support.reading import reading
from tests.support.running import SERVICES, Receiver
from tests.support.tracing import about, fault, paged, resolved, tocsin

GRACE_SECONDS = 10


@contextmanager
def silent() -> Iterator[str]:
    """A socket that accepts connections and never answers."""
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
async def test_without_a_working_backend_incidents_page_and_keep_their_trace(
    case: str, kafka: str, database: str, topic_prefix: str, tmp_path: Path, pages: Receiver
) -> None:
    publisher = new_trace()
    topics = [
        f"{topic_prefix}tocsin.{name}.v1"
        for name in ("intake", "triage", "escalation", "incidents")
    ]
    with environment_of(case) as environment:
        async with tocsin(kafka, database, topic_prefix, tmp_path, pages, **environment) as stack:
            adopted = await stack.signals(fault("1", "disk"), traceparent=publisher.traceparent)
            own = await stack.signals(fault("2", "net"))
            ids = [answer["signals"][0]["subject"] for answer in (adopted, own)]
            first = [await paged(pages, "anastasia", about(id)) for id in ids]
            trace_of = {
                page.webhook_id.split(".")[0]: page.headers["traceparent"][3:35] for page in first
            }
            assert trace_of[ids[0]] == publisher.trace_id
            assert trace_of[ids[1]] not in (publisher.trace_id, "0" * 32)
            await stack.act("acknowledge", ids[0])
            await stack.signals(
                fault("1 end", "disk", status="resolved"), fault("2 end", "net", status="resolved")
            )
            assert {id: (await resolved(stack, id))["trace_id"] for id in ids} == trace_of

            everywhere = {(topic, id) for topic in topics for id in ids}
            async with reading(kafka, *topics) as reader:
                await reader.until(
                    "each incident on every topic",
                    lambda records: {*map(topic_and_key, records)} >= everywhere,
                )
            for record in reader.records:
                traceparent = dict(record.headers)["traceparent"].decode()
                assert traceparent[3:35] == trace_of[topic_and_key(record)[1]], record.topic

            async with asyncio.timeout(GRACE_SECONDS):
                ends = await asyncio.gather(
                    *(stack.kill(service, signal.SIGTERM) for service in SERVICES)
                )
            assert ends == [0, 0, 0, 0]


def topic_and_key(record: ConsumerRecord[bytes, bytes]) -> tuple[str, str]:
    return record.topic, (record.key or b"").decode()
