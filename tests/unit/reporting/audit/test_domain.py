"""The hash of a record covers all of it, its place and everything before it."""

from dataclasses import replace
from datetime import timedelta
from hashlib import sha256

import pytest

from services.reporting.audit.domain import digest, extend, genesis
from shared.kafka.record import Record
from tests.support.outage import OPENED

RECORD = Record("tocsin.signals.v1", 2, 7, OPENED, b"key", b"value", (("a", b"1"), ("b", b"")))


def number(value: int) -> bytes:
    return value.to_bytes(8, "big", signed=True)


def text(value: bytes) -> bytes:
    return number(len(value)) + value


def test_the_framing_is_as_documented() -> None:
    begin = sha256(bytes(32) + text(b"tocsin.signals.v1") + number(2)).digest()
    headers = number(2) + text(b"a") + text(b"1") + text(b"b") + text(b"")
    microseconds = number(int(OPENED.timestamp()) * 1_000_000)
    framed = begin + number(7) + microseconds + text(b"key") + text(headers) + text(b"value")
    [entry] = extend([RECORD], {})
    assert entry.hash == sha256(framed).digest()
    [tombstone] = extend([replace(RECORD, value=None)], {})
    assert tombstone.hash == sha256(framed[: -len(text(b"value"))] + number(-1)).digest()


@pytest.mark.parametrize(
    "change",
    [
        {"offset": 8},
        {"timestamp": OPENED + timedelta(microseconds=1)},
        {"key": None},
        {"key": b""},
        {"value": b"valuf"},
        {"value": None},
        {"headers": ()},
        {"headers": (("a", b"1"),)},
        {"headers": (("a1", b""), ("b", b""))},
        {"headers": (("b", b""), ("a", b"1"))},
        {"partition": 3},
        {"topic": "tocsin.signals.v2"},
    ],
)
def test_a_change_of_any_part_changes_the_hash(change: dict[str, object]) -> None:
    [entry] = extend([RECORD], {})
    [other] = extend([replace(RECORD, **change)], {})  # type: ignore[arg-type]
    assert other.hash != entry.hash


def test_chains_of_several_partitions_grow_side_by_side() -> None:
    records = [replace(RECORD, partition=n % 2, offset=n) for n in range(6)]
    heads: dict[tuple[str, int], bytes] = {}
    entries = extend(records[:3], heads) + extend(records[3:], heads)
    for partition in (0, 1):
        before = genesis(RECORD.topic, partition)
        for entry in entries[partition::2]:
            assert entry.hash == digest(entry, before)
            before = entry.hash
