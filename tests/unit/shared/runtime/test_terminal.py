"""Text of a sender's neither styles nor steers a terminal."""

import json

import pytest

from shared.runtime.terminal import json_text, plain, printable

HOSTILE = [
    *map(chr, range(0x20)),  # C0: ESC, BEL, CR, ...
    *map(chr, range(0x7F, 0xA0)),  # DEL, and C1: CSI, OSC, ...
    *"\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f",  # turn the direction
    *"\u2028\u2029\u200b\ufeff\U000e0041",  # line ends, and characters that cannot be seen
    "\ud83d",  # cannot be written at all
]


@pytest.mark.parametrize("character", HOSTILE, ids=ascii)
def test_what_does_not_print_becomes_a_space(character: str) -> None:
    assert printable(f"a{character}b") == "a b"


@pytest.mark.parametrize("character", HOSTILE, ids=ascii)
def test_json_escapes_what_does_not_print_and_means_the_same(character: str) -> None:
    written = json_text({"summary": f"a{character}b", character: 1})
    assert all(c.isprintable() or c == "\n" for c in written)
    written.encode()
    assert json.loads(written) == {"summary": f"a{character}b", character: 1}


def test_what_prints_stays_as_it_is() -> None:
    text = "Zürich 東京 🔥 [bold]"
    assert printable(text) == text
    assert text in json_text({"summary": text})
    assert plain(text).plain == text


def test_lines_are_kept_where_the_caller_says_so() -> None:
    assert plain("a\nb\x1b", keep="\n").plain == "a\nb "


@pytest.mark.parametrize("nothing", [None, ""])
def test_no_text_is_a_dash(nothing: str | None) -> None:
    assert plain(nothing).plain == "-"
