"""The examples in the contract's README do what it says."""

import asyncio
import json
import re
import shlex
import sys
from datetime import UTC, datetime

import pytest

from services.intake.signals import read_signal
from shared.events.cloudevents import from_binary, from_record, from_structured
from shared.record import Record
from shared.topics import TOPICS, apply_topics
from tests.contract.files import ROOT
from tests.support.reading import reading

README = (ROOT / "README.md").read_text()
NOON = datetime(2026, 3, 3, 12, tzinfo=UTC)


def examples(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_first_curl_is_an_alert_and_the_second_is_its_end() -> None:
    structured, binary = (shlex.split(text) for text in examples("sh"))
    opening = read_signal(from_structured(json.loads(structured[structured.index("-d") + 1])), "probe", NOON)
    headers = dict(word.split(": ", 1) for word in binary if ": " in word and word.startswith("ce-"))
    attributes = {name.removeprefix("ce-"): value for name, value in headers.items()}
    end = read_signal(from_binary(attributes, binary[binary.index("-d") + 1].encode()), "probe", NOON)
    assert (opening.data.model_dump()["status"], end.data.model_dump()["status"]) == ("firing", "resolved")
    assert opening.data.model_dump()["key"] == end.data.model_dump()["key"]
    assert opening.origin == end.origin


async def test_the_producer_publishes_a_signal_that_we_read(kafka: str, topic_prefix: str) -> None:
    await apply_topics(kafka, topic_prefix, [topic for topic in TOPICS if topic.name == "tocsin.signals.v1"])
    (program,) = examples("python")
    program = program.replace("127.0.0.1:9092", kafka).replace("tocsin.signals.v1", f"{topic_prefix}tocsin.signals.v1")
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program)
    assert await process.wait() == 0
    async with reading(kafka, f"{topic_prefix}tocsin.signals.v1") as reader:
        await reader.until("a signal", lambda records: bool(records))
    sent = reader.records[0]
    record = Record(sent.topic, sent.partition, sent.offset, NOON, sent.key, sent.value, tuple(sent.headers))
    assert read_signal(from_record(record), "topic", NOON).data.summary == "disk full on db-3"


@pytest.mark.parametrize("link", re.findall(r"\]\((?!http)([^)]+)\)", README))
def test_its_links_lead_somewhere(link: str) -> None:
    assert (ROOT / link).exists()
