"""docs/cases.md names tests that exist, and tests are named in words."""

import re

import pytest

from tests.architecture.tree import ROOT, functions, relative

CASES = (ROOT / "docs" / "cases.md").read_text()
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", CASES)))


def test_cases_are_listed() -> None:
    assert NAMED


@pytest.mark.parametrize(("path", "name"), NAMED, ids=[name for _, name in NAMED])
def test_the_test_of_a_case_exists(path: str, name: str) -> None:
    assert (ROOT / path).is_file()
    assert name in {function.name for function in functions(ROOT / path)}


def test_every_case_names_its_thread_and_a_test() -> None:
    rows = [line.split("|")[1:-1] for line in CASES.splitlines() if re.match(r"\| [CD]\d\d ", line)]
    assert rows
    for case, threads, about, tests in rows:
        assert re.fullmatch(r" ([\w.-]+/[\w.-]+#\d+(, )?)+ ", threads), case
        assert about.strip(), case
        assert "::test_" in tests, case


def test_names_of_tests_have_no_case_codes() -> None:
    coded = [
        f"{relative(path)}::{function.name}"
        for path in sorted((ROOT / "tests").rglob("test_*.py"))
        for function in functions(path)
        if re.match(r"test_[cd]\d+_", function.name)
    ]
    assert coded == [], "say in words what the test shows, and list the case in docs/cases.md"
