"""A priority matrix of any size: what `policy check` refuses, with the line and the fix."""

from pathlib import Path

import pytest

from services.triage.catalogue.policy import read_catalogue
from shared.events.triage import Priority
from tests.unit.triage.catalogue.test_policy import errors_of

FOUR_BY_FOUR = """\
default_team: platform
services:
  checkout: {team: payments, tier: 1}
  wiki: {team: platform, tier: 5}
priority:
  matrix:
    extreme: {now: P1, soon: P1, today: P2, later: P3}
    major: {now: P1, soon: P2, today: P3, later: P4}
    minor: {now: P2, soon: P3, today: P4, later: P5}
    none: {now: P4, soon: P5, today: P5, later: P5}
  impact_of_tier: {1: extreme, 2: major, 3: minor, 4: minor, 5: none}
  urgency_of_severity:
    critical: now
    error: soon
    warning: today
    info: later
  default_impact: minor
"""


def test_a_matrix_of_any_size_is_good(tmp_path: Path) -> None:
    assert errors_of(tmp_path, FOUR_BY_FOUR) == []
    rules = read_catalogue(FOUR_BY_FOUR.encode()).content.priority
    assert rules.matrix["none"]["soon"] is Priority.P5
    one = "default_team: a\npriority:\n  matrix: {all: {any: P3}}\n  impact_of_tier: {1: all}\n"
    one += "  urgency_of_severity: {critical: any, error: any, warning: any, info: any}\n"
    assert errors_of(tmp_path, one + "  default_impact: all\n") == []


def test_parts_that_are_absent_have_their_defaults(tmp_path: Path) -> None:
    swapped = (
        "priority: {urgency_of_severity: {critical: high, error: high, warning: low, info: low}}"
    )
    assert errors_of(tmp_path, f"default_team: a\n{swapped}") == [
        "catalogue.yaml:2: no severity has urgency `medium`; "
        "name it in `urgency_of_severity`, or take the column out"
    ]
    assert errors_of(tmp_path, "default_team: a\npriority: {default_impact: high}") == []


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        (
            "soon: P2, ",
            "",
            "8: impact `major` with urgency `soon` has no priority; "
            "add `soon:` with P1, P2, P3, P4, P5",
        ),
        (
            "3: minor, 4",
            "3: mnior, 4",
            "11: there is no impact `mnior` in the matrix; did you mean `minor`?",
        ),
        (
            "error: soon",
            "error: son",
            "14: there is no urgency `son` in the matrix; did you mean `soon`?",
        ),
        (
            "default_impact: minor",
            "default_impact: unknown",
            "17: there is no impact `unknown` in the matrix; "
            "the matrix has extreme, major, minor, none",
        ),
        (
            ", 5: none}",
            "}",
            "4: tier 5 has no impact; "
            "add it to `priority.impact_of_tier`, or use one of 1, 2, 3, 4",
        ),
        (
            ", 5: none}",
            ", 5: minor}",
            "10: no tier has impact `none`; name it in `impact_of_tier`, or take the row out",
        ),
        (
            "error: soon",
            "error: now",
            "7: no severity has urgency `soon`; "
            "name it in `urgency_of_severity`, or take the column out",
        ),
        ("    info: later\n", "", "12: severity `info` has no urgency; add `info:`"),
        (
            "info: later",
            "notice: later",
            "16: there is no severity `notice`; the severities are critical, error, warning, info",
        ),
        (
            "major: {now: P1",
            "major: {now: P0",
            "8: `priority.matrix.major.now`: must be 'P1', 'P2', 'P3', 'P4' or 'P5'",
        ),
        ("major:", '" ":', "8: `priority.matrix. `: name a level in 1 to 50 characters"),
        (
            "default_impact",
            "default_impakt",
            "17: unknown key `default_impakt`; did you mean `default_impact`?",
        ),
    ],
)
def test_a_slip_is_refused_with_its_line_and_a_hint(
    tmp_path: Path, old: str, new: str, error: str
) -> None:
    assert old in FOUR_BY_FOUR
    assert f"catalogue.yaml:{error}" in errors_of(tmp_path, FOUR_BY_FOUR.replace(old, new))


@pytest.mark.parametrize(("length", "good"), [(50, True), (51, False)])
def test_names_of_levels_have_a_longest(tmp_path: Path, length: int, good: bool) -> None:
    errors = errors_of(tmp_path, FOUR_BY_FOUR.replace("minor", "m" * length))
    assert (errors == []) == good


def test_a_slip_in_one_row_is_reported_once(tmp_path: Path) -> None:
    assert errors_of(
        tmp_path, FOUR_BY_FOUR.replace("{now: P1, soon: P2", "{nwo: P1, soon: P2")
    ) == [
        "catalogue.yaml:8: no severity has urgency `nwo`; did you mean `now`?",
        "catalogue.yaml:8: impact `major` with urgency `now` has no priority; "
        "add `now:` with P1, P2, P3, P4, P5",
    ]


def test_a_matrix_without_the_levels_that_are_the_default_elsewhere_names_what_to_add(
    tmp_path: Path,
) -> None:
    catalogue = "default_team: a\npriority:\n  matrix: {all: {any: P3}}\n"
    errors = errors_of(tmp_path, catalogue)
    assert (
        "catalogue.yaml:2: `impact_of_tier.1` is `high` by default, "
        "and there is no impact `high` in the matrix; add `impact_of_tier:`"
    ) in errors
    for key in ("default_impact", "urgency_of_severity"):
        assert any(error.endswith(f"add `{key}:`") for error in errors)


def test_an_empty_matrix_is_refused(tmp_path: Path) -> None:
    assert errors_of(tmp_path, "default_team: a\npriority: {matrix: {}}") == [
        "catalogue.yaml:2: `priority.matrix`: at least one item is needed"
    ]
