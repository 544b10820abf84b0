"""An incident is named in one way everywhere."""

from uuid import UUID

import pytest

from shared.events.reference import format_reference, parse_reference

_ID = "01993d2a-7a0f-7c51-9e39-0a2f8c9a4b11"


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("INC-1042", 1042),
        ("inc-1042", 1042),
        ("1042", 1042),
        (" INC-1042\n", 1042),
        (_ID, UUID(_ID)),
        (_ID.upper(), UUID(_ID)),
    ],
)
def test_a_number_or_an_id_is_read(text: str, meant: UUID | int) -> None:
    assert parse_reference(text) == meant


@pytest.mark.parametrize(
    "text",
    ["", "INC-", "INC-1 2", "INC--1", "-1", "1e3", "INC-" + "9" * 19, "١٠٤٢", "../x", _ID[:-1]],
)
def test_anything_else_is_refused_in_plain_words(text: str) -> None:
    with pytest.raises(ValueError, match=r"^is neither a number such as INC-1042 nor a UUID$"):
        parse_reference(text)


def test_what_is_written_is_read_again() -> None:
    assert parse_reference(format_reference(1042)) == 1042
