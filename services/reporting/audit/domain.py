"""The audit chain: what a record's hash covers, so that nothing can be edited, removed or moved
without a trace.

One chain a topic-partition, since each has one writer at a time. A record's hash is

    SHA-256(hash before it || offset || timestamp || key || headers || value)

Integers are 8 bytes, big-endian, signed; the timestamp is in microseconds since 1970 UTC. Byte
strings stand behind their length, -1 for null. Headers are one byte string: their count, then the
name and the value of each. Before the first record stands SHA-256(32 zero bytes || topic ||
partition), which binds the chain to its place. Offsets have gaps (Kafka's transaction markers take
some), so the chain, not they, shows a removal.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from shared.kafka.record import Record

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of the audit table. `headers` are framed, `hash` is the chain's value after this
    record.
    """

    topic: str
    partition: int
    offset: int
    recorded_at: datetime
    key: bytes | None
    value: bytes | None
    headers: bytes
    hash: bytes


def genesis(topic: str, partition: int) -> bytes:
    """What stands before the first record of a topic-partition."""
    return sha256(bytes(32) + _framed(topic.encode()) + _integer(partition)).digest()


def extend(records: Iterable[Record], heads: dict[tuple[str, int], bytes]) -> list[Entry]:
    """The audit rows of records in their order; `heads` are the chains' ends by place, and are
    moved on.
    """
    entries = []
    for record in records:
        place = (record.topic, record.partition)
        entry = _seal(record, heads.get(place) or genesis(*place))
        heads[place] = entry.hash
        entries.append(entry)
    return entries


def digest(entry: Entry, before: bytes) -> bytes:
    """The hash that a row must have when it follows the hash `before`."""
    microseconds = (entry.recorded_at - _EPOCH) // _MICROSECOND
    parts = [before, _integer(entry.offset), _integer(microseconds)]
    return sha256(
        b"".join([*parts, *map(_framed, (entry.key, entry.headers, entry.value))])
    ).digest()


def _seal(record: Record, before: bytes) -> Entry:
    entry = Entry(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        recorded_at=record.timestamp,
        key=record.key,
        value=record.value,
        headers=_frame_headers(record.headers),
        hash=b"",
    )
    return replace(entry, hash=digest(entry, before))


def _frame_headers(headers: Sequence[tuple[str, bytes]]) -> bytes:
    parts = [_integer(len(headers))]
    for name, value in headers:
        parts += (_framed(name.encode("utf-8", "surrogateescape")), _framed(value))
    return b"".join(parts)


def _integer(number: int) -> bytes:
    return number.to_bytes(8, signed=True)


def _framed(value: bytes | None) -> bytes:
    return _integer(-1) if value is None else _integer(len(value)) + value
