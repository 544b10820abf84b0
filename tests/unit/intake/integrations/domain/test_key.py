"""Integration keys: seen whole once, known by a hash after that."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.intake.integrations.domain.key import StoredKey, new_key, public_part, split_key

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_a_key_is_known_by_its_public_part_and_a_hash() -> None:
    key, stored = new_key("alertmanager", timedelta(days=1), NOON)
    assert split_key(key) == (stored.key_id, stored.secret_hash)
    assert (stored.name, stored.expires_at) == ("alertmanager", NOON + timedelta(days=1))
    assert key.startswith(stored.prefix)
    assert key[len(stored.prefix) :] not in repr(stored)


def test_a_key_fits_wherever_senders_put_it_and_cannot_be_guessed() -> None:
    keys = [new_key("pagerduty", None, NOON)[0] for _ in range(200)]
    assert {len(key) for key in keys} == {32}, "what PagerDuty calls a routing key"
    assert all(key.isascii() and key.isalnum() for key in keys)
    assert len({key[:8] for key in keys}) == len({key[8:] for key in keys}) == 200
    assert 62**24 > 2**128


def test_a_key_of_the_older_form_is_still_a_key() -> None:
    parts = split_key("tocsin_0123456789ab_" + "S" * 43)
    assert parts is not None
    stored = StoredKey(parts[0], "old", parts[1], NOON, None)
    assert stored.prefix == "tocsin_0123456789ab_"
    assert public_part(stored.prefix) == "0123456789ab"


def test_a_key_is_named_by_what_lists_show() -> None:
    key, stored = new_key("a", None, NOON)
    assert public_part(key) == public_part(stored.prefix) == stored.key_id


@pytest.mark.parametrize(
    "key", ["", "tocsin", "tocsin_ab", "other_ab_cd", "tocsin_a-b_cd", "x" * 200, "é" * 32]
)
def test_what_is_no_key_at_all_costs_no_look_up(key: str) -> None:
    assert split_key(key) is None


@given(st.text(max_size=120))
def test_whatever_is_sent_is_a_key_or_none(text: str) -> None:
    parts = split_key(text)
    assert parts is None or (parts[0].isalnum() and len(parts[1]) == 32)
    split_key(f"tocsin_ab_{text}\ud800")


def test_a_key_lives_until_it_expires() -> None:
    _, stored = new_key("a", timedelta(days=1), NOON)
    assert stored.lives(NOON + timedelta(hours=23))
    assert not stored.lives(NOON + timedelta(days=1))
