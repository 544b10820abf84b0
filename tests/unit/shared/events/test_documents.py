"""JSON from strangers: what can be read is read, and nothing but Malformed is ever raised."""

import contextlib
import json
import time
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.events.documents import MAX_DEPTH, MAX_EVENT_BYTES, check_depth, load_json
from shared.events.malformed import Malformed

BOM = b"\xef\xbb\xbf"


def refused(body: bytes, what: str = "body") -> Malformed:
    with pytest.raises(Malformed) as caught:
        load_json(body, what)
    return caught.value


def nested(levels: int, kind: str = "list") -> bytes:
    """`levels` objects or lists in each other, with a number in the innermost."""
    opening, closing = {"list": (b"[", b"]"), "object": (b'{"a":', b"}")}[kind]
    return opening * levels + b"1" + closing * levels


def test_a_byte_order_mark_is_ignored() -> None:
    assert load_json(BOM + b'{"a": "\xef\xbb\xbfb"}') == {"a": "\ufeffb"}


def test_only_one_is() -> None:
    assert refused(BOM + BOM + b"{}").field == "body"


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (r"sur \ud83d", "sur \ufffd"),
        (r"\udd25 low", "\ufffd low"),
        (r"\uD83D\uDD25", "🔥"),
        (r"\ud83d\ud83d\udd25", "\ufffd🔥"),
        (r"\udd25\ud83d", "\ufffd\ufffd"),
        (r"\ud83d\n\ud83d\u0041", "\ufffd\n\ufffdA"),
        (r"\\ud83d \ud83d", "\\ud83d \ufffd"),
        (r"\\\ud83d\"", '\\\ufffd"'),
        (r"🔥\ud83d", "🔥\ufffd"),
    ],
)
def test_half_of_a_surrogate_pair_is_the_replacement_character(written: str, read: str) -> None:
    body = f'{{"labels": {{"{written}": "{written}"}}, "n": 1}}'.encode()
    assert load_json(body) == {"labels": {read: read}, "n": 1}


@given(
    st.lists(st.sampled_from(["\\", '"', "ud83d", "udd25", "a", "\n", "\ud83d", "\udd25", "🔥"]))
)
def test_every_text_with_halves_is_read_as_it_would_be_with_replacements(parts: list[str]) -> None:
    text = "".join(parts)
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    read = load_json(json.dumps({"summary": text}).encode())
    # Decoders differ in how many characters stand for a lone half; all else is the same.
    assert read["summary"].replace("\ufffd", "") == whole.replace("\ufffd", "")


@pytest.mark.parametrize("name", ["id", "source"])
@pytest.mark.parametrize("batch", [False, True])
def test_it_is_refused_in_what_identifies_an_event(name: str, batch: bool) -> None:
    event = f'{{"specversion": "1.0", "{name}": "a\\ud83d"}}'
    body = f'[{{"specversion": "1.0"}}, {event}]' if batch else event
    assert refused(body.encode()).field == ("[1]." if batch else "") + name


@pytest.mark.parametrize(
    "body",
    [
        *(b"NaN", b"[Infinity]", b"[-Infinity]", b"{'a': 1}", b'"\xff"', b'"\xed\xa0\xbd"'),
        *(b"", BOM, b" ", b'{"a": 1', b'"a\x01b"', b'["\\ud83d", NaN]', b'"\\ud83d', b'"\\ud8'),
        '{"a": 1}'.encode("utf-16"),
        b"[" * 10_000 + b"]" * 10_000,
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b'"\\ud83d' + b"[" * 100_000,
    ],
)
def test_what_is_no_json_is_refused_by_name(body: bytes) -> None:
    error = refused(body, "data")
    assert error.field == "data"
    assert error.reason.startswith("is not JSON: ")


def test_a_body_over_the_limit_is_refused_before_it_is_parsed() -> None:
    assert f"at most {MAX_EVENT_BYTES}" in refused(b"[" * (MAX_EVENT_BYTES + 1)).reason


@pytest.mark.parametrize("kind", ["list", "object"])
@pytest.mark.parametrize("levels", [1, 2, MAX_DEPTH])
def test_what_is_accepted_can_be_written_again(levels: int, kind: str) -> None:
    body = nested(levels, kind)
    assert orjson.dumps(load_json(body)) == body


@pytest.mark.parametrize("kind", ["list", "object"])
@pytest.mark.parametrize("levels", [MAX_DEPTH + 1, 200, 252, 253, 254, 255, 500, 1000, 1023])
def test_deep_nesting_is_refused(levels: int, kind: str) -> None:
    assert f"more than {MAX_DEPTH} levels" in refused(nested(levels, kind)).reason


@pytest.mark.parametrize(
    ("document", "what", "field"),
    [
        (b'[{"a": {}}, {"data": {"x": %s}}]', "body", "[1].data.x.0"),
        (b'{"id": "1", "data": {"x": [[], %s]}}', "value", "data.x.1.0"),
        (b'{"x": %s}', "data", "data.x.0.0.0"),
        (b"%s", "body", "[0].0.0.0"),
    ],
)
def test_the_field_that_is_nested_deeply_is_named(document: bytes, what: str, field: str) -> None:
    assert refused(document % nested(300), what).field == field


def test_brackets_in_texts_and_many_beside_each_other_are_no_depth() -> None:
    document = {"text": "[" * 1000, "list": [[{}] for _ in range(1000)]}
    assert load_json(orjson.dumps(document)) == document


def test_a_document_that_was_parsed_elsewhere_can_be_checked() -> None:
    document: Any = 1
    for _ in range(5000):
        document = {"a": document}
    with pytest.raises(Malformed, match=r"^data\.a\.a\.a\.a: is nested"):
        check_depth(document, "data")


def test_the_worst_that_is_read_takes_no_time_to_speak_of() -> None:
    bodies = (
        b'["' + rb"\ud83d" * 80_000 + b'"]',
        b"[" + b"[]," * 170_000 + b"1]",
        b"[" + b",".join([nested(1000)] * 250) + b"]",
    )
    for body in bodies:
        began = time.perf_counter()
        with contextlib.suppress(Malformed):
            load_json(body)
        assert time.perf_counter() - began < 5
