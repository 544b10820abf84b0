"""Integration keys: seen whole once, known by a hash after that."""

from datetime import UTC, datetime, timedelta

import pytest

from services.intake.keys.domain import new_key, split_key

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_a_key_is_known_by_its_public_part_and_a_hash() -> None:
    key, stored = new_key("alertmanager", timedelta(days=1), NOON)
    assert split_key(key) == (stored.key_id, stored.secret_hash)
    assert (stored.name, stored.expires_at) == ("alertmanager", NOON + timedelta(days=1))
    secret = key.split("_", 2)[2]
    assert secret not in repr(stored)


def test_two_keys_of_one_integration_differ() -> None:
    (one, first), (two, second) = (new_key("rotated", None, NOON) for _ in range(2))
    assert one != two
    assert first.key_id != second.key_id


@pytest.mark.parametrize("name", ["topic", "two words", "", "x" * 64, "a\nb", "-x", "é"])
def test_a_name_that_could_be_another_senders_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="a name has letters"):
        new_key(name, None, NOON)


@pytest.mark.parametrize(
    "key", ["", "tocsin", "tocsin_ab", "other_ab_cd", "tocsin_a-b_cd", "x" * 200]
)
def test_what_is_no_key_at_all_costs_no_look_up(key: str) -> None:
    assert split_key(key) is None
