"""The dead letters that Kafka holds, and the redrive of their records. Needs topics only."""

from base64 import b64decode
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from pydantic import ValidationError

from shared.events.cloudevents import Malformed, from_structured, load_json
from shared.events.rejections import DEAD_LETTERS, MessageDeadLettered
from shared.kafka.consumption.records import read_record
from shared.kafka.diagnosis import explained
from shared.kafka.record import Record
from shared.kafka.redrive import HEADER, Address, address_of
from shared.kafka.security import PLAINTEXT, Security
from shared.kafka.topics import REDRIVE

Advance = Callable[[], None]


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """What a service could not process, as it last reported at `at` in the event `event_id`.

    `redriven`: the record is with the service again, and has not failed since.
    """

    id: str
    event_id: str
    at: datetime
    data: MessageDeadLettered
    redriven: bool = False

    @property
    def origin(self) -> str:
        """Where the record stands, or what else it was."""
        data = self.data
        if data.offset is None:
            return data.origin
        return f"{data.origin}/{data.partition}@{data.offset}"

    @property
    def refusal(self) -> str | None:
        """Why it cannot be redriven; None when it can."""
        if self.data.origin.startswith("timer "):
            return f"a timer: {self.data.service} tries it again by itself every five minutes"
        if self.data.offset is None:
            return "a message that was too large to be published; its content was not kept"
        if self.data.value is None:
            return "a record without a value, or too large to be kept here: see the reason"
        return None


async def read_dead_letters(
    bootstrap: str, prefix: str, advance: Advance, *, security: Security = PLAINTEXT
) -> list[DeadLetter]:
    """All dead letters that Kafka holds, oldest first, one for each thing however often it failed.
    Raises KafkaError.
    """
    latest: dict[Any, DeadLetter] = {}
    redriven: set[str] = set()
    async for record in _read(bootstrap, prefix, security):
        advance()
        if address := address_of(record):
            redriven.add(address.letter)
        elif record.topic == DEAD_LETTERS and (found := _parse(record)):
            # Not by id: a timer fails every five minutes, under a new id each time.
            data = found.data
            thing = (data.service, data.origin, data.partition, data.offset, data.key)
            latest.pop(thing, None)
            latest[thing] = found
    return [replace(found, redriven=found.event_id in redriven) for found in latest.values()]


async def redrive_records(
    bootstrap: str,
    prefix: str,
    dead_letters: Sequence[DeadLetter],
    advance: Advance,
    *,
    security: Security = PLAINTEXT,
) -> None:
    """Send the records of dead letters without a refusal to their services, in log order.

    One that is sent twice, after a crash in the middle or by two people at once, is a repeat to the
    service. Raises KafkaError.
    """
    in_order = sorted(
        dead_letters, key=lambda one: (one.data.origin, one.data.partition, one.data.offset)
    )
    options = {"bootstrap_servers": bootstrap, **security.options()}
    async with (
        explained(bootstrap, security),
        AIOKafkaProducer(enable_idempotence=True, **options) as producer,
    ):
        for one in in_order:
            data = one.data
            address = Address(**data.model_dump(), received_at=one.at, letter=one.event_id)
            headers = [(HEADER, address.model_dump_json().encode())]
            headers += [(name, b64decode(value)) for name, value in data.headers]
            key = None if data.key is None else b64decode(data.key)
            await producer.send_and_wait(
                prefix + REDRIVE, b64decode(data.value or ""), key=key, headers=headers
            )
            advance()


async def _read(bootstrap: str, prefix: str, security: Security) -> AsyncIterator[Record]:
    topics = prefix + DEAD_LETTERS, prefix + REDRIVE
    # Reporting's dead letters are published in transactions.
    options = {"auto_offset_reset": "earliest", "isolation_level": "read_committed"}
    consumer = AIOKafkaConsumer(
        *topics, bootstrap_servers=bootstrap, **options, **security.options()
    )
    async with explained(bootstrap, security):
        try:  # not `async with`, which leaves one open that could not start
            await consumer.start()
            ends = await consumer.end_offsets(list(consumer.assignment()))
            while [handle for handle, end in ends.items() if await consumer.position(handle) < end]:
                for handle, records in (await consumer.getmany(timeout_ms=500)).items():
                    for record in records:
                        yield read_record(record, handle.topic.removeprefix(prefix))
        finally:
            await consumer.stop()


def _parse(record: Record) -> DeadLetter | None:
    """None for what this version does not know as a dead letter."""
    value = record.value or b""
    try:
        event = from_structured(load_json(value, limit=len(value)))  # larger than outside events
        data = MessageDeadLettered.model_validate(event.data)
    except (Malformed, ValidationError):
        return None
    return DeadLetter(event.subject or "", event.id, event.time or record.timestamp, data)
