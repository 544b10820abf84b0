"""catalogue.yaml: what it refuses, and in which words."""

import shutil
from pathlib import Path

import pytest

from services.triage.catalogue.policy import check

EXAMPLE = Path(__file__).parents[4] / "deploy" / "local" / "policy"
CATALOGUE = """\
default_team: platform
services:
  checkout:
    team: payments
    tier: 1
    dependencies: [payments-db]
  payments-db: {team: payments, tier: 1}
"""


def errors_of(folder: Path, catalogue: str, teams: str | None = None) -> list[str]:
    (folder / "catalogue.yaml").write_text(catalogue)
    if teams is not None:
        (folder / "teams.yaml").write_text(teams)
    return [str(error) for error in check(folder)]


def test_the_example_of_the_local_stack_is_good(tmp_path: Path) -> None:
    shutil.copytree(EXAMPLE, tmp_path, dirs_exist_ok=True)
    assert check(tmp_path) == []


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        (
            "tier: 1\n    dep",
            "tier: 5\n    dep",
            "5: tier 5 has no impact; "
            "add it to `priority.impact_of_tier`, or use one of 1, 2, 3, 4",
        ),
        (
            "[payments-db]",
            "[payment-db]",
            "6: there is no service `payment-db`; did you mean `payments-db`?",
        ),
        ("[payments-db]", "[checkout]", "6: `checkout` depends on itself; take the line out"),
        (
            "default_team: platform\n",
            "",
            "1: the key `default_team` is missing; add `default_team:`",
        ),
        (
            "tier: 1\n    dep",
            "runbok: x\n    dep",
            "5: unknown key `runbok`; did you mean `runbook`?",
        ),
        (
            "tier: 1}",
            "tier: 1, synthetic: on}",
            "7: `services.payments-db.synthetic`: write true or false",
        ),
    ],
)
def test_a_slip_is_refused_with_its_line_and_a_hint(
    tmp_path: Path, old: str, new: str, error: str
) -> None:
    assert old in CATALOGUE
    assert f"catalogue.yaml:{error}" in errors_of(tmp_path, CATALOGUE.replace(old, new))


def test_an_owner_that_the_teams_file_does_not_know_is_refused(tmp_path: Path) -> None:
    assert errors_of(tmp_path, CATALOGUE, "teams: {platform: {}, payment: {}}") == [
        "catalogue.yaml:4: there is no team `payments` in teams.yaml; did you mean `payment`?",
        "catalogue.yaml:7: there is no team `payments` in teams.yaml; did you mean `payment`?",
    ]


def test_owners_are_not_judged_by_a_teams_file_that_cannot_be_read(tmp_path: Path) -> None:
    assert errors_of(tmp_path, CATALOGUE) == []
    assert errors_of(tmp_path, CATALOGUE, "teams: [") == []


def test_a_service_may_be_marked_synthetic(tmp_path: Path) -> None:
    for word in ("true", "false"):
        assert (
            errors_of(tmp_path, CATALOGUE.replace("tier: 1}", f"tier: 1, synthetic: {word}}}"))
            == []
        )


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    assert [error.message for error in check(tmp_path)] == [
        "the file cannot be read: No such file or directory"
    ]
