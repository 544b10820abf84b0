"""The audit chain: what a record's hash covers, so that no record can be edited, removed or moved
unnoticed.

There is one chain per topic-partition, since each has one writer at a time. A record's hash is

    SHA-256(previous hash || offset || timestamp || key || headers || value)

Integers are 8 bytes, big-endian, signed; the timestamp is in microseconds since 1970 UTC. A byte
string follows its length, which is -1 for null. Headers are one byte string: their count, then the
name and the value of each. The first record follows SHA-256(32 zero bytes || topic || partition),
which binds the chain to its topic-partition. Offsets have gaps (Kafka's transaction markers take
some), so removals show in the chain and not in the offsets.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from shared.kafka.record import Record

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class AuditRow:
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


@dataclass(frozen=True, slots=True)
class Chain:
    """A topic-partition, and the offset that its consumer recorded last; None if it has none."""

    topic: str
    partition: int
    last_offset: int | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of verifying a chain: how many records hold, the last good hash, and what is wrong
    after it, if anything is.
    """

    topic: str
    partition: int
    records: int
    head: bytes
    broken: str | None


def genesis(topic: str, partition: int) -> bytes:
    """The hash before the first record of a topic-partition."""
    return sha256(bytes(32) + _framed(topic.encode()) + _integer(partition)).digest()


def extend(records: Iterable[Record], heads: dict[tuple[str, int], bytes]) -> list[AuditRow]:
    """The audit rows of records, in their order. `heads` has the last hash by topic and partition,
    and is updated.
    """
    rows = []
    for record in records:
        partition = (record.topic, record.partition)
        row = _seal(record, heads.get(partition) or genesis(*partition))
        heads[partition] = row.hash
        rows.append(row)
    return rows


def digest(row: AuditRow, before: bytes) -> bytes:
    """The hash that a row must have if it follows the hash `before`."""
    microseconds = (row.recorded_at - _EPOCH) // _MICROSECOND
    parts = [before, _integer(row.offset), _integer(microseconds)]
    parts += map(_framed, (row.key, row.headers, row.value))
    return sha256(b"".join(parts)).digest()


def _seal(record: Record, before: bytes) -> AuditRow:
    row = AuditRow(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        recorded_at=record.timestamp,
        key=record.key,
        value=record.value,
        headers=_frame_headers(record.headers),
        hash=b"",
    )
    return replace(row, hash=digest(row, before))


def _frame_headers(headers: Sequence[tuple[str, bytes]]) -> bytes:
    parts = [_integer(len(headers))]
    for name, value in headers:
        parts += (_framed(name.encode("utf-8", "surrogateescape")), _framed(value))
    return b"".join(parts)


def _integer(number: int) -> bytes:
    return number.to_bytes(8, signed=True)


def _framed(value: bytes | None) -> bytes:
    return _integer(-1) if value is None else _integer(len(value)) + value
