"""What a dead letter says, and under which id."""

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.events.message import OutboxMessage
from shared.kafka.dead_letters.writing import dead_letter, dead_letter_for_record, reason_of
from shared.kafka.record import Record
from shared.kafka.redrive import HEADER, Address
from shared.kafka.topics import REDRIVE

NOON = datetime(2026, 3, 3, 12, tzinfo=UTC)
RECORD = Record("things", 2, 7, NOON, b"\xfe", b"\xff", (("h", b"\x00"),))
FAILURE = ValueError("no")


def parse(message: OutboxMessage) -> dict[str, Any]:
    event: dict[str, Any] = json.loads(message.value or b"")
    return event


def test_it_has_the_exact_bytes_and_the_place() -> None:
    data = parse(dead_letter_for_record(RECORD, FAILURE, "triage", NOON))["data"]

    assert (data["service"], data["reason"]) == ("triage", "ValueError: no")
    assert (data["origin"], data["partition"], data["offset"]) == ("things", 2, 7)
    assert [base64.b64decode(data[name]) for name in ("key", "value")] == [b"\xfe", b"\xff"]
    assert data["headers"] == [["h", "AA=="]]


@pytest.mark.parametrize("size", [512 * 1024, 512 * 1024 + 1])
def test_a_record_that_is_too_large_is_left_out_and_said_to_be(size: int) -> None:
    record = Record("things", 0, 1, NOON, b"", b"x" * size)

    data = parse(dead_letter_for_record(record, FAILURE, "triage", NOON))["data"]

    left_out = size > 512 * 1024
    assert (data["value"] is None) is left_out
    assert (f"its {size} bytes are left out" in data["reason"]) is left_out


def test_the_same_record_has_the_same_id_each_time_that_it_fails() -> None:
    address = Address(
        service="triage", origin="things", partition=2, offset=7, received_at=NOON, letter="1"
    )
    header = (HEADER, address.model_dump_json().encode())
    again = Record(REDRIVE, 0, 99, NOON, RECORD.key, RECORD.value, (header, *RECORD.headers))

    first = dead_letter_for_record(RECORD, FAILURE, "triage", NOON)
    second = dead_letter_for_record(again, KeyError("x"), "triage", NOON + timedelta(days=1))

    assert first.key == second.key
    assert parse(first)["id"] != parse(second)["id"]
    assert parse(second)["data"]["offset"] == 7


@pytest.mark.parametrize(
    ("service", "record"),
    [
        ("escalation", RECORD),
        ("triage", Record("things", 2, 8, NOON, None, None)),
        ("triage", Record("things", 1, 7, NOON, None, None)),
        ("triage", Record("others", 2, 7, NOON, None, None)),
    ],
    ids=["another service", "another offset", "another partition", "another topic"],
)
def test_anything_else_has_another_id(service: str, record: Record) -> None:
    first = dead_letter_for_record(RECORD, FAILURE, "triage", NOON)

    assert dead_letter_for_record(record, FAILURE, service, NOON).key != first.key


def test_what_is_no_record_has_a_new_id_each_time() -> None:
    letters = [dead_letter("triage", "no", "timer step", NOON, key="k") for _ in range(2)]

    assert letters[0].key != letters[1].key
    assert parse(letters[0])["data"]["offset"] is None


def test_a_reason_is_bounded_and_can_be_written_as_json() -> None:
    reason = reason_of(ValueError("\ud800" + "x" * 5000))

    assert reason.startswith("ValueError: ?xxx")
    assert len(reason) == 2000


def test_what_must_not_be_kept_is_taken_out_of_record_and_reason() -> None:
    def cleanse(record: Record, reason: str) -> tuple[Record, str]:
        return replace(record, value=b"[redacted]"), reason.replace("hunter2", "[redacted]")

    failure = ValueError("hunter2 is no number")
    data = parse(dead_letter_for_record(RECORD, failure, "triage", NOON, cleanse))["data"]

    assert base64.b64decode(data["value"]) == b"[redacted]"
    assert data["reason"] == "ValueError: [redacted] is no number"
