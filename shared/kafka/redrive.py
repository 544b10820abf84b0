"""Redrive: records that a service dead-lettered go back to it, on `tocsin.redrive.v1`.

A record comes back as it was, behind one more header, which names its service and where it stood.
It does not go to its own topic again, which others read and which only its owner writes. Its offset
here is a row in Postgres like any other, so it is processed once; and since every handler copes
with repeats (a relay publishes again after a crash, publishers send again), redriving a record
twice does no more than redriving it once.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from pydantic import ValidationError

from shared.events.cloudevents import Malformed
from shared.events.facts import Model
from shared.kafka.handler import Handler
from shared.kafka.record import Record
from shared.kafka.topics import REDRIVE
from shared.postgres.connection import Connection

HEADER = "tocsin-redrive"


class Address(Model):
    """The service that a record is for, and where it stood when. `letter` is the event id of its
    dead letter.
    """

    service: str
    origin: str
    partition: int
    offset: int
    received_at: datetime
    letter: str


def address_of(record: Record) -> Address | None:
    """The address of a redriven record; None for every other."""
    if record.topic != REDRIVE or not record.headers or record.headers[0][0] != HEADER:
        return None
    try:
        return Address.model_validate_json(record.headers[0][1])
    except ValidationError:
        return None


def as_it_was(record: Record) -> Record:
    """A redriven record as it stood in its own topic; every other as it is."""
    address = address_of(record)
    if address is None:
        return record
    return Record(
        *(address.origin, address.partition, address.offset, address.received_at),
        *(record.key, record.value, record.headers[1:]),
    )


def redriven(records: Sequence[Record], service: str) -> list[Record]:
    """Those that are for this service, as they stood in their own topics."""
    own = []
    for record in records:
        address = address_of(record)
        if address and address.service == service:
            own.append(as_it_was(record))
    return own


def with_redrive(service: str, handlers: Mapping[str, Handler]) -> dict[str, Handler]:
    """The handlers of a service's topics, and one that passes them the records redriven to it."""

    async def on_redrive(connection: Connection, records: Sequence[Record]) -> None:
        mine = redriven(records, service)
        if unknown := {record.topic for record in mine} - handlers.keys():
            raise Malformed(HEADER, f"{service} does not read {', '.join(sorted(unknown))}")
        for topic, handler in handlers.items():
            if again := [record for record in mine if record.topic == topic]:
                await handler(connection, again)

    return {**handlers, REDRIVE: on_redrive}
