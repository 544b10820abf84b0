"""Policy files: what is wrong is said with its file, its line and its mend; what is right is read
without guesses.
"""

import contextlib
import hashlib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from textwrap import dedent
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from shared.policy.files import (
    Duration,
    Finding,
    InvalidPolicy,
    PolicyFile,
    PolicyModel,
    keys_of,
    read_policy,
)
from shared.policy.tree import MAX_BYTES


class Bell(PolicyModel):
    tone: Literal["low", "high"]
    wait: Duration = timedelta(minutes=1)
    note: str | None = None
    from_: str = Field(default="", alias="from")


class Bells(PolicyModel):
    bells: dict[str, Bell]
    order: tuple[str, ...] = Field(default=("first",), min_length=1)
    count: int = 1


def read(text: str | bytes, **environment: str) -> PolicyFile[Bells]:
    data = text if isinstance(text, bytes) else dedent(text).encode()
    return read_policy("bells.yaml", data, Bells, _unknown_bells, environment)


def _unknown_bells(bells: Bells) -> Iterator[Finding]:
    for place, name in enumerate(bells.order):
        if name not in bells.bells:
            yield Finding(("order", place), f"there is no bell `{name}`", "add it")


def errors_of(text: str | bytes, **environment: str) -> list[str]:
    with pytest.raises(InvalidPolicy) as caught:
        read(text, **environment)
    return [str(error) for error in caught.value.errors]


def test_a_good_file_is_read_and_its_version_is_the_hash_of_its_bytes() -> None:
    text = "bells:\n  first: {tone: low, wait: 15s}\n"
    policy = read(text)
    assert policy.content.bells["first"].wait == timedelta(seconds=15)
    assert policy.version == hashlib.sha256(text.encode()).hexdigest()[:12]
    assert (policy.name, policy.text) == ("bells.yaml", text)


def test_an_unknown_key_is_named_with_its_line_and_the_key_that_was_meant() -> None:
    assert errors_of(
        """\
        bells:
          first:
            tone: low
            wiat: 15s
        """
    ) == ["bells.yaml:4: unknown key `wiat`; did you mean `wait`?"]


def test_the_key_that_was_meant_is_one_that_may_stand_there() -> None:
    assert errors_of("bells:\n  first: {tone: low, form: x}\n") == [
        "bells.yaml:2: unknown key `form`; did you mean `from`?"
    ]
    assert errors_of("bells: {first: {tone: low}}\ntoen: low\n") == [
        "bells.yaml:2: unknown key `toen`"
    ]


def test_all_errors_are_listed_in_the_order_of_their_lines() -> None:
    assert errors_of(
        """\
        bells:
          first:
            tone: loud
          first:
            tone: low
          second:
            wait: 15
        order: []
        count: many
        """
    ) == [
        "bells.yaml:3: `bells.first.tone`: must be 'low' or 'high'",
        "bells.yaml:4: the key `first` is here a second time; the first is in line 2",
        "bells.yaml:6: the key `tone` is missing; add `tone:`",
        "bells.yaml:7: `bells.second.wait`: "
        "write a duration as a number with its unit: 15s, 2m, 1h or 7d",
        "bells.yaml:8: `order`: at least one item is needed",
        "bells.yaml:9: `count`: must be a whole number",
    ]


def test_a_services_own_findings_get_the_line_of_their_path() -> None:
    assert errors_of("bells:\n  first: {tone: low}\norder:\n  - first\n  - third\n") == [
        "bells.yaml:5: there is no bell `third`; add it"
    ]


def test_a_file_with_thousands_of_errors_is_refused_with_the_first_of_them() -> None:
    looked_at = 0

    def one_after_the_other(bells: Bells) -> Iterator[Finding]:
        nonlocal looked_at
        for finding in _unknown_bells(bells):
            looked_at += 1
            yield finding

    with pytest.raises(InvalidPolicy) as caught:
        read_policy(
            "bells.yaml", b"bells: {}\norder: [%s]" % (b"x," * 5000), Bells, one_after_the_other
        )
    assert len(caught.value.errors) == looked_at == 50
    assert len(errors_of("bells: {}\n" + "".join(f"bell{n}: {{}}\n" for n in range(5000)))) == 50


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (
            b"bells: [",
            "bells.yaml:1: not YAML: expected the node content, but found '<stream end>'",
        ),
        (
            b"a: 1\nb: {c: d\n",
            "bells.yaml:3: not YAML: expected ',' or '}', but got '<stream end>'",
        ),
        (b"bells: {}\n\xff", "bells.yaml:2: the file is not UTF-8"),
        (
            b"bells: \x00",
            "bells.yaml:1: not YAML: unacceptable character #x0000: "
            "special characters are not allowed",
        ),
        (b"- a", "bells.yaml:1: `the file`: keys and values are expected here"),
        (b"", "bells.yaml:1: the key `bells` is missing; add `bells:`"),
        (b"bells: {}\n---\nbells: {}", "bells.yaml:2: not YAML: but found another document"),
        (
            b"bells: !!python/none x",
            "bells.yaml:1: the tag tag:yaml.org,2002:python/none is not known; "
            "write the value plainly",
        ),
        (
            b"bells: {}\norder: !secret x",
            "bells.yaml:2: the tag !secret is not known; write the value plainly",
        ),
        (
            b"a: &a {b: 1}\nbells: {<<: *a}",
            "bells.yaml:2: this kind of key is not supported; write the keys out",
        ),
        (
            b"[" * 5000,
            "bells.yaml:1: the file is nested too deeply, or grows too large by its aliases",
        ),
        (
            b"bells: &loop {first: *loop}",
            "bells.yaml:1: the file is nested too deeply, or grows too large by its aliases",
        ),
        (
            b"a0: &a0 [x, x]\n"
            + b"".join(b"a%d: &a%d [*a%d, *a%d]\n" % (n, n, n - 1, n - 1) for n in range(1, 25)),
            "bells.yaml:1: the file is nested too deeply, or grows too large by its aliases",
        ),
        (
            b"#" * (MAX_BYTES + 1),
            f"bells.yaml:1: the file has {MAX_BYTES + 1} bytes; at most {MAX_BYTES} are read",
        ),
    ],
)
def test_what_is_not_a_policy_is_refused_in_one_line(data: bytes, error: str) -> None:
    assert error in errors_of(data)


def test_scalars_are_the_text_in_the_file_and_yaml_guesses_nothing() -> None:
    bell = read("bells: {first: {tone: low, note: no, from: 17:30}}").content.bells["first"]
    assert (bell.note, bell.from_) == ("no", "17:30")
    assert read("bells: {first: {tone: low, note: ~}}").content.bells["first"].note is None
    assert read('bells: {first: {tone: low, note: "~"}}').content.bells["first"].note == "~"


def test_a_value_can_come_from_the_environment_and_is_not_kept_in_the_text() -> None:
    policy = read("bells: {first: {tone: low, note: 'at ${TOCSIN_TOWER}/x'}}", TOCSIN_TOWER="north")
    assert policy.content.bells["first"].note == "at north/x"
    assert "north" not in policy.text


def test_a_value_can_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "tower").write_text("north\n")
    text = "bells: {first: {tone: low, note: 'at ${TOCSIN_TOWER}/x'}}"
    policy = read(text, TOCSIN_TOWER_FILE=str(tmp_path / "tower"))
    assert policy.content.bells["first"].note == "at north/x"
    assert errors_of(text, TOCSIN_TOWER_FILE="/missing") == [
        "bells.yaml:1: TOCSIN_TOWER_FILE: the file /missing cannot be read "
        "(No such file or directory)"
    ]


def test_an_unset_or_foreign_variable_is_an_error_with_its_line_that_shows_no_value() -> None:
    text = "bells:\n  first:\n    tone: low\n    note: ${TOCSIN_TOWER}\n    wait: ${HOME}\n"
    assert errors_of(text, HOME="/root") == [
        "bells.yaml:4: the environment variable TOCSIN_TOWER is not set; "
        "set it or TOCSIN_TOWER_FILE, or write the value here",
        "bells.yaml:5: the variable `HOME` is not taken; only names that begin with TOCSIN_ are",
    ]
    assert not any(
        "hush" in error
        for error in errors_of(
            "bells: {first: {tone: '${TOCSIN_TONE}', wait: '${TOCSIN_TONE}'}}", TOCSIN_TONE="hush"
        )
    )


@given(st.integers(1, 500), st.sampled_from([("s", 1), ("m", 60), ("h", 3600), ("d", 86400)]))
def test_durations_have_a_unit(number: int, unit: tuple[str, int]) -> None:
    wait = (
        read(f"bells: {{first: {{tone: low, wait: {number}{unit[0]}}}}}")
        .content.bells["first"]
        .wait
    )
    assert wait.total_seconds() == number * unit[1]


@pytest.mark.parametrize(
    "wait", ["15", "s", "-1s", "1.5h", "1w", "9999999d", "99999999999999999999d"]
)
def test_a_duration_without_its_unit_or_without_end_is_refused(wait: str) -> None:
    (error,) = errors_of(f"bells: {{first: {{tone: low, wait: {wait}}}}}")
    assert error.endswith("write a duration as a number with its unit: 15s, 2m, 1h or 7d")


def test_a_snapshot_of_a_policy_reads_back_the_same() -> None:
    policy = read("bells: {first: {tone: low, wait: 90s, from: x}}").content
    assert Bells.model_validate(policy.model_dump(mode="json")) == policy


@given(st.binary(max_size=200) | st.text("abc:-{}[]&*!'\"\n #|>%@", max_size=60).map(str.encode))
def test_no_bytes_raise_anything_but_invalid_policy(data: bytes) -> None:
    with contextlib.suppress(InvalidPolicy):
        read(data)


def test_the_names_of_another_files_section() -> None:
    assert keys_of(b"teams: {a: {}, b: {c: '${TOCSIN_X}'}}", "teams") == frozenset({"a", "b"})
    assert keys_of(b"teams: [", "teams") is None
    assert keys_of(b"people: {}", "teams") is None
