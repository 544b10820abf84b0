"""Limits of size, names that say something, and no service's name in shared code."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.architecture.tree import PACKAGES, ROOT, functions, parse, relative, services, sources

MAX_MODULE_LINES = 300
MAX_FUNCTION_LINES = 40
MAX_COLUMNS = 100
STAGES = ("shared/telemetry/attributes.py", "triage")
"""A file of `shared` and a word in it that is a stage of an incident there, not a service."""
VAGUE_NAMES = {"util", "utils", "helper", "helpers", "common", "manager", "misc", "stuff", "base"}
MODULE_OF_A_SERVICE = re.compile(r"\b(services|deploy)\.(?=[a-z_]|$)")


def test_modules_are_short() -> None:
    long = {
        relative(path): lines
        for path in sources(*PACKAGES)
        if (lines := len(path.read_text().splitlines())) > MAX_MODULE_LINES
    }
    assert long == {}, "split by meaning: a module becomes a package of the same name"


def test_functions_are_short() -> None:
    long = {
        f"{relative(path)}:{function.name}": lines
        for path in sources(*PACKAGES)
        for function in functions(path)
        if (lines := (function.end_lineno or 0) - function.lineno + 1) > MAX_FUNCTION_LINES
    }
    assert long == {}


def test_lines_fit_into_100_columns() -> None:
    long = [
        f"{relative(path)}:{number}"
        for path in sources(*PACKAGES, "tests")
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if len(line) > MAX_COLUMNS
    ]
    assert long == []


def test_names_of_modules_say_what_is_in_them() -> None:
    vague = [
        relative(path)
        for path in sources(*PACKAGES, "tests")
        if VAGUE_NAMES & {path.stem, path.parent.name}
    ]
    assert vague == []


def test_shared_names_no_module_of_a_service_or_deployment() -> None:
    found = [
        f"{relative(path)}:{node.lineno}"
        for path in sources("shared")
        for node in strings(path)
        if MODULE_OF_A_SERVICE.search(node.value)
    ]
    assert found == [], "what is installed is found through entry points"


def test_shared_names_no_service() -> None:
    names = services()
    found = [
        f"{relative(path)}:{node.lineno}: {node.value}"
        for path in sources("shared")
        if ROOT / "shared" / "events" not in path.parents  # the contract names its producers
        for node in strings(path)
        if node.value in names and (relative(path), node.value) != STAGES
    ]
    assert found == []


class _String(ast.Constant):
    value: str


def strings(path: Path) -> Iterator[_String]:
    """The string constants of a file, parts of f-strings and docstrings included."""
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node  # type: ignore[misc]
