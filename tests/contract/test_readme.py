"""The examples in docs/contracts/README.md work."""

import asyncio
import json
import re
import shlex
import sys
from datetime import UTC, datetime

import pytest
from aiokafka import AIOKafkaProducer

from deploy.contracts.files import ROOT, load
from services.intake.signals.domain import read_signal
from shared.events.cloudevents import from_binary, from_record, from_structured
from shared.kafka.provisioning import apply_topics
from shared.kafka.record import Record
from shared.kafka.topics import TOPICS
from tests.support.reading import reading
from tests.support.stack import PATIENCE_SECONDS

README = (ROOT / "README.md").read_text()
NOON = datetime(2026, 3, 3, 12, tzinfo=UTC)


def examples(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_first_curl_fires_an_alert_and_the_second_resolves_it() -> None:
    structured, binary = (shlex.split(text) for text in examples("sh"))
    opening = read_signal(
        from_structured(json.loads(structured[structured.index("-d") + 1])), "probe", NOON
    )
    headers = dict(
        word.split(": ", 1) for word in binary if ": " in word and word.startswith("ce-")
    )
    attributes = {name.removeprefix("ce-"): value for name, value in headers.items()}
    closing = read_signal(
        from_binary(attributes, binary[binary.index("-d") + 1].encode()), "probe", NOON
    )
    assert (opening.data.model_dump()["status"], closing.data.model_dump()["status"]) == (
        "firing",
        "resolved",
    )
    assert opening.data.model_dump()["key"] == closing.data.model_dump()["key"]
    assert opening.origin == closing.origin


async def test_the_producer_publishes_a_signal_that_we_read(kafka: str, topic_prefix: str) -> None:
    await apply_topics(
        kafka, topic_prefix, [topic for topic in TOPICS if topic.name == "tocsin.signals.v1"]
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program(0, kafka, topic_prefix)
    )
    assert await process.wait() == 0
    async with reading(kafka, f"{topic_prefix}tocsin.signals.v1") as reader:
        await reader.until("a signal", lambda records: bool(records))
    sent = reader.records[0]
    record = Record(
        sent.topic, sent.partition, sent.offset, NOON, sent.key, sent.value, tuple(sent.headers)
    )
    assert read_signal(from_record(record), "topic", NOON).data.summary == "disk full on db-3"


async def test_the_reader_prints_each_state_once_and_no_older_one(
    kafka: str, topic_prefix: str
) -> None:
    await apply_topics(
        kafka, topic_prefix, [topic for topic in TOPICS if topic.name == "tocsin.incidents.v1"]
    )
    state = load(next((ROOT / "samples" / "tocsin.incidents.IncidentState").glob("0001*")))
    later, unknown = (
        state | {"sequence": "9" * 20},
        state | {"type": "tocsin.incidents.FromALaterVersion"},
    )
    other = load(next((ROOT / "samples" / "tocsin.incidents.IncidentState").glob("0002*")))
    async with AIOKafkaProducer(bootstrap_servers=kafka) as producer:
        for event in (unknown, state, later, later, state, other):
            value, key = json.dumps(event).encode(), event["subject"].encode()
            await producer.send_and_wait(
                f"{topic_prefix}tocsin.incidents.v1", value, key, partition=0
            )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program(1, kafka, topic_prefix), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            printed = [(await process.stdout.readline()).decode().split()[:2] for _ in range(3)]
    finally:
        process.kill()
        await process.wait()
    assert printed == [["1042", "acknowledged"], ["1042", "acknowledged"], ["1043", "triggered"]]


def program(index: int, kafka: str, topic_prefix: str) -> str:
    """A Python example, changed to the run's broker and the test's topics."""
    text = examples("python")[index].replace("127.0.0.1:9092", kafka)
    return re.sub(r'"(tocsin\.\w+\.v1)"', rf'"{topic_prefix}\1"', text)


@pytest.mark.parametrize("link", re.findall(r"\]\((?!http)([^)]+)\)", README))
def test_its_links_exist(link: str) -> None:
    assert (ROOT / link).exists()
