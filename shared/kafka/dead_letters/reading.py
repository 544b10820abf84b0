"""The dead letters as they stand, and the giving back of their records. Reads and writes topics
alone.
"""

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
from shared.kafka.record import Record
from shared.kafka.redrive import HEADER, Address, address_of
from shared.kafka.topics import REDRIVE

Advance = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Letter:
    """What a service could not work on, as last told at `at` in the event `event_id`.

    `given_back`: the record is with the service again, and has not failed since.
    """

    id: str
    event_id: str
    at: datetime
    data: MessageDeadLettered
    given_back: bool = False

    @property
    def place(self) -> str:
        """Where the record stands, or what else it was."""
        data = self.data
        return (
            data.origin if data.offset is None else f"{data.origin}/{data.partition}@{data.offset}"
        )

    @property
    def refusal(self) -> str | None:
        """Why there is nothing to give back; None when there is."""
        if self.data.origin.startswith("timer "):
            return f"a timer, no record: {self.data.service} tries it again by itself, every five minutes"
        if self.data.offset is None:
            return "a message that was too large to be published, whose bytes were not kept"
        if self.data.value is None:
            return "a record without a value, or too large for its letter: see the reason"
        return None


async def read_letters(bootstrap: str, prefix: str, advance: Advance) -> list[Letter]:
    """All that the dead letters hold now, oldest first, each thing once however often it failed.
    Raises KafkaError.
    """
    letters: dict[Any, Letter] = {}
    given: set[str] = set()
    async for record in _read(bootstrap, prefix):
        advance()
        if address := address_of(record):
            given.add(address.letter)
        elif record.topic == DEAD_LETTERS and (letter := _letter(record)):
            data = (
                letter.data
            )  # not the id: a timer's letters have one each, though it fails every five minutes
            thing = (data.service, data.origin, data.partition, data.offset, data.key)
            letters.pop(thing, None)
            letters[thing] = letter
    return [replace(letter, given_back=letter.event_id in given) for letter in letters.values()]


async def give_back(
    bootstrap: str, prefix: str, letters: Sequence[Letter], advance: Advance
) -> None:
    """Send the records of letters without a refusal to their services, in the order in which they
    stood.

    One that is sent twice, after a crash in the middle or by two people at once, is a repeat to the
    service.
    """
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=True) as producer:
        for letter in sorted(
            letters, key=lambda one: (one.data.origin, one.data.partition, one.data.offset)
        ):
            data = letter.data
            address = Address(**data.model_dump(), received_at=letter.at, letter=letter.event_id)
            headers = [(HEADER, address.model_dump_json().encode())]
            headers += [(name, b64decode(value)) for name, value in data.headers]
            key = None if data.key is None else b64decode(data.key)
            await producer.send_and_wait(
                prefix + REDRIVE, b64decode(data.value or ""), key=key, headers=headers
            )
            advance()


async def _read(bootstrap: str, prefix: str) -> AsyncIterator[Record]:
    topics = prefix + DEAD_LETTERS, prefix + REDRIVE
    options = {"auto_offset_reset": "earliest", "isolation_level": "read_committed"}
    consumer = AIOKafkaConsumer(*topics, bootstrap_servers=bootstrap, **options)
    try:  # not `async with`, which leaves one open that could not start
        await consumer.start()
        ends = await consumer.end_offsets(list(consumer.assignment()))
        while [handle for handle, end in ends.items() if await consumer.position(handle) < end]:
            for handle, records in (await consumer.getmany(timeout_ms=500)).items():
                for record in records:
                    yield read_record(record, handle.topic.removeprefix(prefix))
    finally:
        await consumer.stop()


def _letter(record: Record) -> Letter | None:
    """None for what is no dead letter that this version knows."""
    value = record.value or b""
    try:
        event = from_structured(
            load_json(value, limit=len(value))
        )  # larger than any event from outside
        data = MessageDeadLettered.model_validate(event.data)
    except (Malformed, ValidationError):
        return None
    return Letter(event.subject or "", event.id, event.time or record.timestamp, data)
