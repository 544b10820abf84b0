"""Signed links: nobody but this installation can make one, and none lives for ever."""

import base64
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.escalation.links.domain import LIFETIME, BadLink, Link, Links

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEY = "a key of thirty-two bytes or more for tests"
NEXT_KEY = "another key of thirty-two bytes or more"
LINKS = Links([KEY], "https://tocsin.example/")
INCIDENT = UUID("018f0000-0000-7000-8000-000000000001")


def token() -> str:
    return LINKS.url(INCIDENT, "ana", "acknowledge", NOW).removeprefix("https://tocsin.example/a/")


def test_a_link_comes_back_as_it_was_made() -> None:
    assert LINKS.read(token(), NOW) == Link(INCIDENT, "ana", "acknowledge", NOW + LIFETIME)


def test_a_link_lives_seven_days() -> None:
    LINKS.read(token(), NOW + timedelta(days=7) - timedelta(seconds=1))
    with pytest.raises(BadLink, match="expired"):
        LINKS.read(token(), NOW + timedelta(days=7))


def test_a_link_of_another_installation_is_refused() -> None:
    with pytest.raises(BadLink, match="not valid"):
        Links([NEXT_KEY], "").read(token(), NOW)


def test_during_a_rotation_links_of_both_keys_are_good_on_every_replica() -> None:
    old, new = [Links([KEY, NEXT_KEY], ""), Links([NEXT_KEY, KEY], "")]
    link = Link(INCIDENT, "ana", "acknowledge", NOW + LIFETIME)
    for signing in (LINKS, old, new):
        for reading in (old, new):
            assert reading.read(signing.token(link), NOW) == link
    with pytest.raises(BadLink, match="not valid"):  # the new key signs
        LINKS.read(new.token(link), NOW)
    with pytest.raises(BadLink, match="not valid"):  # the previous key is retired
        Links([NEXT_KEY], "").read(old.token(link), NOW)


def test_what_a_link_says_cannot_be_changed() -> None:
    payload, _, signature = token().partition(".")
    said = base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
    for old, new in ((b"ana", b"ben"), (b"acknowledge", b"resolve")):
        forged = base64.urlsafe_b64encode(said.replace(old, new)).rstrip(b"=").decode()
        with pytest.raises(BadLink, match="not valid"):
            LINKS.read(f"{forged}.{signature}", NOW)


@given(st.integers(0, 10_000), st.integers(0, 63))
def test_no_letter_of_a_signature_can_be_another(place: int, letter: int) -> None:
    payload, _, signature = token().partition(".")
    # The last letter carries spare bits, which change nothing that is signed.
    place %= len(signature) - 1
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    if signature[place] != alphabet[letter]:
        forged = signature[:place] + alphabet[letter] + signature[place + 1 :]
        with pytest.raises(BadLink):
            LINKS.read(f"{payload}.{forged}", NOW)


@given(st.text(max_size=2000))
def test_nonsense_is_refused_and_nothing_else_happens(text: str) -> None:
    with pytest.raises(BadLink):
        LINKS.read(text, NOW)
