"""Records given back to the service that could not work on them, on `tocsin.redrive.v1`.

A record comes back as it was, behind one header more: whose it is, and where it stood. It does not
go to its own topic again, which others read and which only its owner writes. Its offset here is a
row in Postgres like any other, so it is worked on once; and since every handler takes repeats for
what they are (a relay publishes again after a crash, publishers send again), giving it back twice
does no more than giving it back once.
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
    """Whose a record is, and where it stood when. `letter` is the event id of the dead letter that
    it comes from.
    """

    service: str
    origin: str
    partition: int
    offset: int
    received_at: datetime
    letter: str


def address_of(record: Record) -> Address | None:
    """The address of a record that was given back; None for every other."""
    if record.topic != REDRIVE or not record.headers or record.headers[0][0] != HEADER:
        return None
    try:
        return Address.model_validate_json(record.headers[0][1])
    except ValidationError:
        return None


def as_it_was(record: Record) -> Record:
    """The record at the place where it stood first; one that was not given back is itself."""
    address = address_of(record)
    if address is None:
        return record
    return Record(
        *(address.origin, address.partition, address.offset, address.received_at),
        *(record.key, record.value, record.headers[1:]),
    )


def given_back(records: Sequence[Record], service: str) -> list[Record]:
    """Those that are for this service, as they were."""
    return [
        as_it_was(record)
        for record in records
        if (to := address_of(record)) and to.service == service
    ]


def with_redrive(service: str, handlers: Mapping[str, Handler]) -> dict[str, Handler]:
    """The handlers of a service's topics, and one that gives them what comes back to it."""

    async def on_redrive(connection: Connection, records: Sequence[Record]) -> None:
        mine = given_back(records, service)
        if strange := {record.topic for record in mine} - handlers.keys():
            raise Malformed(HEADER, f"{service} does not read {', '.join(sorted(strange))}")
        for topic, handler in handlers.items():
            if again := [record for record in mine if record.topic == topic]:
                await handler(connection, again)

    return {**handlers, REDRIVE: on_redrive}
