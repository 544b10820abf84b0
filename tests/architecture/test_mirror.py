"""Tests mirror the tree: the test of a module has its name and place."""

from pathlib import Path

from tests.architecture.tree import ROOT, relative, services

EXEMPT = {
    "tests/unit/life": "plays an incident through the pure parts of all services at once",
    "tests/integration/pipeline": "runs the statements of all services against one database",
}
"""Folders below tests/unit and tests/integration whose tests are not of one module, and why."""
SUFFIXES = (".py", "", ".yaml", ".html", ".json")
"""A test may be of a module, a package, or a file that is not Python."""


def mirrored(test: Path) -> Path:
    """What a test is of, without suffix: tests/unit/intake/integrations/test_key_ring.py ->
    services/intake/integrations/key_ring.
    """
    parts = list(test.relative_to(ROOT / "tests").parts[1:-1])
    name = test.stem.removeprefix("test_")
    if parts and parts[0] in services():
        return ROOT.joinpath("services", *parts, name)
    if parts and parts[0] in ("bench", "support"):
        return ROOT.joinpath("tests", *parts, name)
    return ROOT.joinpath(*parts, name)


def module_tests() -> list[Path]:
    return [
        path
        for kind in ("unit", "integration")
        for path in sorted((ROOT / "tests" / kind).rglob("test_*.py"))
        if not any(relative(path).startswith(f"{folder}/") for folder in EXEMPT)
    ]


def test_every_test_has_its_module() -> None:
    astray = [
        f"{relative(test)}: there is no {relative(mirrored(test))}"
        for test in module_tests()
        if not any(
            mirrored(test).with_name(mirrored(test).name + suffix).exists() for suffix in SUFFIXES
        )
    ]
    assert astray == []


def test_folders_that_are_exempt_exist() -> None:
    assert [folder for folder in EXEMPT if not (ROOT / folder).is_dir()] == []


def test_no_test_is_named_after_an_occasion() -> None:
    assert [relative(path) for path in (ROOT / "tests").rglob("test_review*.py")] == []
