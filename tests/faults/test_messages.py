"""Invalid records of every kind on every topic that a service reads, among valid ones: only they
fail, and they can be found.
"""

import asyncio
import sys
from asyncio.subprocess import PIPE
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import MessageSizeTooLargeError

from shared.events import commands, escalation, intake, triage
from shared.events.ids import derived_id
from shared.events.rejections import DEAD_LETTERS, REJECTIONS
from shared.kafka.dead_letters.reading import read_dead_letters
from shared.kafka.topics import REDRIVE, SIGNALS
from tests.support.evidence import SUBSCRIPTIONS, Evidence, checking
from tests.support.poison import LARGE, Message, odd, poison
from tests.support.policies import policy_files
from tests.support.running import Receiver, Running, Truth, alert, eventually, running

READERS: dict[str, tuple[str, ...]] = {
    intake.TOPIC: ("triage", "reporting"),
    triage.TOPIC: ("escalation", "reporting"),
    escalation.TOPIC: ("intake", "reporting"),
    commands.TOPIC: ("escalation",),
    REDRIVE: (),
    REJECTIONS: (),
    DEAD_LETTERS: (),
}
"""The services that must dead-letter an invalid record, by topic (signals are rejected)."""


@pytest.fixture
async def tocsin(
    kafka: str, database: str, topic_prefix: str, tmp_path: Path, receiver: Receiver
) -> AsyncIterator[Running]:
    policy = policy_files(receiver.url, '{targets: ["user:anastasia"], wait: 1h}', rounds=1)
    async with running(kafka, database, topic_prefix, tmp_path, policy) as stack:
        yield stack


@pytest.fixture
async def producer(kafka: str) -> AsyncIterator[AIOKafkaProducer]:
    async with AIOKafkaProducer(bootstrap_servers=kafka, max_request_size=2 * LARGE) as producer:
        yield producer


async def send(
    producer: AIOKafkaProducer, topic: str, messages: Sequence[Message]
) -> dict[tuple[int, int], str]:
    """Spread messages over a topic's partitions; returns their names by partition and offset."""
    partitions = sorted(await producer.partitions_for(topic))
    sent = [
        (
            message.name,
            await producer.send(
                topic,
                message.value,
                message.key,
                partitions[number % len(partitions)],
                headers=list(message.headers),
            ),
        )
        for number, message in enumerate(messages)
    ]
    done = [(name, await future) for name, future in sent]
    return {(place.partition, place.offset): name for name, place in done}


async def allow_large(kafka: str, *topics: str) -> None:
    """Let topics accept records larger than Kafka's default of 1 MB."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    limit = {"max.message.bytes": str(2 * LARGE)}
    await admin.alter_configs(
        [ConfigResource(ConfigResourceType.TOPIC, topic, configs=limit) for topic in topics]
    )
    await admin.close()


def dead_letters(evidence: Evidence) -> dict[tuple[str, str], set[tuple[int, int]]]:
    """Partition and offset of dead-lettered records, by service and topic."""
    found: dict[tuple[str, str], set[tuple[int, int]]] = {}
    for data in event_data(evidence, DEAD_LETTERS):
        assert data["reason"]
        found.setdefault((data["service"], data["origin"]), set()).add(
            (data["partition"], data["offset"])
        )
    return found


def event_data(evidence: Evidence, topic: str) -> Iterator[dict[str, Any]]:
    """The data of a topic's events, without the records that the test sent."""
    for record in evidence.records[topic]:
        if record.key != b"poison" and record.value and dict(record.headers).get("content-type"):
            yield orjson.loads(record.value)["data"]


async def paged_for(receiver: Receiver, ids: set[str]) -> Truth:
    seen = {page.body["data"]["incident_id"] for page in receiver.received}
    return Truth(ids <= seen, f"missing {len(ids - seen)} of {len(ids)}")


def good(name: str) -> list[Message]:
    """Two alerts for each partition of the signals topic."""
    return [
        Message(f"{name} {n}", orjson.dumps(alert(f"{name} {n}")), f"{name} {n}".encode())
        for n in range(12)
    ]


async def test_every_kind_of_invalid_record_on_every_topic_fails_alone(
    kafka: str,
    database: str,
    topic_prefix: str,
    tocsin: Running,
    receiver: Receiver,
    producer: AIOKafkaProducer,
) -> None:
    everywhere = (SIGNALS, *READERS)
    with pytest.raises(MessageSizeTooLargeError):
        await producer.send_and_wait(topic_prefix + SIGNALS, b"x" * LARGE)
    await allow_large(kafka, *(topic_prefix + topic for topic in everywhere))
    bad = [
        *poison(),
        Message("five megabytes", b"x" * LARGE),
        Message("five megabytes of JSON", b'["' + b"x" * LARGE + b'"]'),
    ]
    oddities = list(odd())

    signals = await send(producer, topic_prefix + SIGNALS, [*good("before"), *oddities])
    sent = {topic: await send(producer, topic_prefix + topic, bad) for topic in everywhere}
    signals |= await send(producer, topic_prefix + SIGNALS, good("after"))
    posted = await tocsin.signals(*(alert(f"posted {number}") for number in range(12)))

    async with checking(kafka, database, topic_prefix) as checker:
        await eventually("the system is idle", checker.settled)
        evidence = await checker.evidence(receiver.received)
    await tocsin.ready()

    kept = {row["signal_id"]: row["subject"] for row in evidence.tables["signals"]}
    assert sorted({message.name for message in oddities} - kept.keys()) == []
    incidents = {kept[name] for name in signals.values() if name in kept} | {
        s["subject"] for s in posted["signals"]
    }
    await eventually("every incident is paged", lambda: paged_for(receiver, incidents))

    rejected = {(data["partition"], data["offset"]) for data in event_data(evidence, REJECTIONS)}
    assert {
        signals.get(place) or sent[SIGNALS].get(place) for place in rejected ^ sent[SIGNALS].keys()
    } == set()
    dead_lettered = dead_letters(evidence)
    for topic, readers in READERS.items():
        for reader in readers:
            lost = dead_lettered.pop((reader, topic), set()) ^ sent[topic].keys()
            assert {sent[topic].get(place, place) for place in lost} == set(), (reader, topic)
    assert dead_lettered == {}, "no other record was dead-lettered"
    assert audited(evidence) == sum(
        (Counter({topic: len(evidence.records[topic])}) for topic in SUBSCRIPTIONS["reporting"]),
        Counter(),
    )
    assert evidence.broken_chains == []


def audited(evidence: Evidence) -> Counter[str]:
    """The number of records of each topic that the audit log has byte for byte."""
    seen = {
        (topic, r.partition, r.offset): r.value
        for topic in evidence.records
        for r in evidence.records[topic]
    }
    kept = (
        (row["topic"], row["partition"], row["offset"], row["value"])
        for row in evidence.tables["audit"]
    )
    return Counter(topic for topic, *place, value in kept if seen[topic, *place] == value)


async def test_a_command_that_arrived_before_its_incident_is_redriven(
    tocsin: Running, topic_prefix: str, receiver: Receiver, producer: AIOKafkaProducer
) -> None:
    """Topics have no common order: a fast system may acknowledge an incident before escalation
    knows it.
    """
    incident = str(derived_id("topic /probe", "early", "subject"))
    data = {"incident_id": incident, "by": "anastasia"}
    kind = commands.AcknowledgeIncident.type
    order = {"specversion": "1.0", "id": "order", "source": "/chat", "type": kind, "data": data}
    await producer.send_and_wait(
        topic_prefix + commands.TOPIC, orjson.dumps(order), incident.encode()
    )

    async def listed() -> Truth:
        text = await dead_letters_command(tocsin, "list", "--service", "escalation")
        return Truth("there is no incident" in text, text)

    await eventually("the command is dead-lettered", listed)
    await producer.send_and_wait(topic_prefix + SIGNALS, orjson.dumps(alert("early")), b"early")
    await eventually("somebody is paged", lambda: paged_for(receiver, {incident}))

    [letter] = await read_dead_letters(
        tocsin.environment["TOCSIN_KAFKA"], topic_prefix, lambda: None
    )
    shown = await dead_letters_command(tocsin, "show", letter.id[-12:])
    assert all(
        part in shown for part in (incident, "anastasia", commands.TOPIC, "there is no incident")
    )
    assert "1 redriven" in await dead_letters_command(tocsin, "redrive", letter.id[-12:])

    async def acknowledged() -> Truth:
        known = await tocsin.incident(incident)
        return Truth(known is not None and known["status"] == "acknowledged", str(known))

    await eventually("the command has its effect", acknowledged)
    assert "redriven" in await dead_letters_command(tocsin, "list")


async def dead_letters_command(tocsin: Running, *arguments: str) -> str:
    """The output of `tocsin dead-letters ...`."""
    command = [sys.executable, "-m", "shared.runtime.cli", "dead-letters", *arguments]
    environment = tocsin.environment | {"COLUMNS": "240"}
    process = await asyncio.create_subprocess_exec(
        *command, env=environment, stdout=PIPE, stderr=PIPE
    )
    out, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    return out.decode()
