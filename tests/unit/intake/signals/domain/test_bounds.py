"""Texts are bounded in bytes as they are written, names included, and what is missing is said."""

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from services.intake.signals.domain import AlertData
from services.intake.signals.domain.bounds import (
    MAX_ANNOTATION_BYTES,
    MAX_LABEL_BYTES,
    MAX_LINK_BYTES,
    bounded_links,
    bounded_texts,
    shorten_bytes,
    within_bounds,
)

characters = st.sampled_from(["a", '"', "\\", "\x1b", "\n", "ü", "…", "\N{BELL}"])
texts = st.text(characters, max_size=60)
search = settings(max_examples=300, derandomize=True, deadline=None)


def size(value: object) -> int:
    return len(orjson.dumps(value))


@given(texts, st.integers(3, 200))
@search
def test_a_text_is_as_it_was_or_a_beginning_with_an_ellipsis(text: str, limit: int) -> None:
    short = shorten_bytes(text, limit)
    assert size(short) - 2 <= limit
    if short != text:
        assert short.endswith("…")
        assert text.startswith(short[:-1])
        assert size(short + text[len(short) - 1]) - 2 > limit, "no shorter than it has to be"


@given(st.dictionaries(texts, texts, max_size=20), st.integers(64, 2_000))
@search
def test_named_texts_fit_and_none_is_lost_unsaid(named: dict[str, str], limit: int) -> None:
    kept = bounded_texts(named, limit)
    assert size(kept) <= limit + 2
    if set(kept) != set(named):
        assert kept["…"].endswith("more were left out")


def test_small_data_is_the_same_object() -> None:
    data = AlertData(summary="x", labels={"a": "b"}, links=["https://a.example"])
    assert within_bounds(data) is data


def test_what_becomes_of_labels_does_not_depend_on_annotations() -> None:
    labels = {f"label{number}": "\x1b" * 4_000 for number in range(20)}
    long = AlertData(summary="x", labels=labels, annotations={"a": "\x1b" * 4_000})
    short = AlertData(summary="y", labels=labels)
    assert within_bounds(long).labels == within_bounds(short).labels


def test_all_parts_of_an_alert_are_bounded() -> None:
    many = {f"{number}" + "\x1b" * 250: "\x1b" * 4_096 for number in range(128)}
    links = ["\x1b" * 2_048] * 20
    data = within_bounds(AlertData(summary="x", labels=many, annotations=many, links=links))
    assert size(data.labels) <= MAX_LABEL_BYTES
    assert size(data.annotations) <= MAX_ANNOTATION_BYTES
    assert size(data.links) <= MAX_LINK_BYTES


def test_a_link_is_kept_whole_or_not_at_all() -> None:
    assert bounded_links(["a" * 10, "b" * 100], 50) == ["a" * 10]
