from typing import Any

import pytest

from deploy.supply_chain.audit import problems

GOOD = {"name": "hatchling", "version": "1.33.0", "vulns": []}
NOT_FOUND = {
    "name": "hatchling",
    "skip_reason": "Dependency not found on PyPI and could not be audited: hatchling (1.33.0)",
}
VULNERABLE = GOOD | {"vulns": [{"id": "PYSEC-2026-1", "fix_versions": ["1.33.1"], "aliases": []}]}


def audit(*dependencies: Any) -> list[str]:
    return list(problems({"dependencies": dependencies, "fixes": []}, ["hatchling"]))


def test_a_package_without_known_vulnerabilities_passes() -> None:
    assert audit(GOOD) == []


@pytest.mark.parametrize(
    ("found", "complaint"),
    [
        (NOT_FOUND, "hatchling was not audited: Dependency not found on PyPI"),
        (VULNERABLE, "hatchling 1.33.0 has PYSEC-2026-1, fixed in 1.33.1"),
        (GOOD | {"name": "another"}, "hatchling was not audited: it is not in the report"),
    ],
    ids=["not-found", "vulnerable", "left-out"],
)
def test_everything_else_is_a_problem(found: Any, complaint: str) -> None:
    (problem,) = audit(found)
    assert problem.startswith(complaint)
