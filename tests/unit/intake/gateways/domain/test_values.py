"""Values of senders as texts, times and labels."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given

from services.intake.gateways.domain.values import key, labels, line, links, moment, text
from tests.unit.intake.gateways.strategies import ANYTHING

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "written",
    [
        "2026-03-01T12:00:00Z",
        "2026-03-01T13:00:00+01:00",
        "2026-03-01T12:00:00.000+0000",
        "2026-03-01 12:00:00",
        "2026-03-01 12:00:00 UTC",
        "2026.03.01 12:00:00",
        "2026/03/01 12:00:00",
        1772366400,
        1772366400.0,
        "1772366400",
        1772366400000,
        "1772366400000000",
        1772366400000000000,
    ],
)
def test_a_time_is_read(written: Any) -> None:
    assert moment(written) == NOON


@pytest.mark.parametrize(
    "written",
    [
        None,
        "",
        "yesterday",
        True,
        {},
        [],
        0,
        -5,
        "0001-01-01T00:00:00Z",
        "0001-01-01T00:00:00.000Z",
        "9999-12-31T23:59:59Z",
        1e300,
        float("inf"),
        float("nan"),
        "9" * 30,
    ],
)
def test_no_time_is_none(written: Any) -> None:
    assert moment(written) is None


def test_parts_of_a_key_stay_apart() -> None:
    lists = [["a/b", "c"], ["a", "b/c"], ["a", "b", "c"], ["ab", "c"], ["a", "", "bc"]]
    assert len({key(one) for one in lists}) == len(lists)


def test_long_keys_stay_apart() -> None:
    keys = {key("x" * 300 + end) for end in "ab"}
    assert len(keys) == 2
    assert all(one is not None and len(one) <= 255 for one in keys)


@pytest.mark.parametrize("nothing", [None, "", " ", [], [None, ""], "\x00"])
def test_no_key_is_none(nothing: Any) -> None:
    assert key(nothing) is None


def test_of_too_many_labels_the_number_is_kept() -> None:
    found = labels({str(number): number for number in range(200)})
    assert len(found) == 128
    assert found["…"] == "73 more were left out"


def test_links_are_kept_as_they_are_written() -> None:
    sent = ["?orgId=1", "", None, "https://a.example", "https://a.example", {"no": "link"}]
    assert links(sent) == ["?orgId=1", "https://a.example"]


@given(ANYTHING)
def test_any_value_is_read(value: Any) -> None:
    assert len(text(value, 50)) <= 50
    assert len(line(value, 50)) <= 50
    assert "\x00" not in text(value)
    found = key(value)
    assert found is None or 0 < len(found) <= 255
    time = moment(value)
    assert time is None or time.tzinfo is UTC
    assert all(labels(value))
    assert all(links(value))
