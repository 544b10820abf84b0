"""The folder tree is the architecture: every service has the same plan of rooms, and each room
keeps to its work.
"""

import ast
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SERVICES = ("intake", "triage", "escalation", "reporting")
ROOMS = ("cli", "app", "handlers")
LONGEST_ROOM = 350
STORES = ("store", "reads")
ASKS_POSTGRES = {
    "execute",
    "executemany",
    "fetch",
    "fetchrow",
    "fetchval",
    "cursor",
    "copy_records_to_table",
}


def sources(*folders: str) -> Iterator[Path]:
    for folder in folders:
        yield from sorted((ROOT / folder).rglob("*.py"))


def calls(path: Path) -> Iterator[str]:
    """Names of the methods that a file calls."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            yield node.func.attr


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_has_the_same_plan_of_rooms(service: str) -> None:
    missing = [name for name in ROOMS if find_spec(f"services.{service}.{name}") is None]
    assert missing == []
    assert list((ROOT / "services" / service / "migrations").glob("0001_*.sql"))


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_says_what_it_reads_writes_and_owns(service: str) -> None:
    said = (
        ast.get_docstring(ast.parse((ROOT / "services" / service / "__init__.py").read_text()))
        or ""
    )
    for words in ("Topics in", "Topics out", "Schema owned"):
        assert words.lower() in said.lower(), (
            f"services/{service}/__init__.py does not say: {words}"
        )


def test_no_room_outgrows_its_limit() -> None:
    long = {
        str(p.relative_to(ROOT)): n
        for p in sources("services", "shared", "deploy")
        if (n := lines(p)) > LONGEST_ROOM
    }
    assert long == {}, "split by meaning: a room becomes a package of the same name"


def lines(path: Path) -> int:
    return len(path.read_text().splitlines())


def test_sql_stands_in_the_stores_alone() -> None:
    asking = {
        str(path.relative_to(ROOT))
        for path in sources("services")
        if not {*STORES} & {path.stem, path.parent.name} and ASKS_POSTGRES & set(calls(path))
    }
    assert asking == set()


def test_decisions_read_no_clock() -> None:
    reading = {
        str(path.relative_to(ROOT))
        for path in sources("services")
        if "domain" in (path.stem, path.parent.name)
        and {"now", "utcnow", "time"} & set(calls(path))
    }
    assert reading == set(), "time is passed in, so that a test can jump"


def test_no_room_is_called_after_nothing() -> None:
    vague = {"utils", "helpers", "common", "manager", "misc"}
    assert [
        p.name
        for p in sources("services", "shared", "deploy")
        if p.stem in vague or p.parent.name in vague
    ] == []
