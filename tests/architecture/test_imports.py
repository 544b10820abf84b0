"""Who may import whom, beyond what pyproject.toml states for import-linter."""

import subprocess
import sys
from collections.abc import Iterable, Mapping

import pytest

from tests.architecture.tree import (
    PACKAGES,
    ROOT,
    called_methods,
    capabilities,
    declared_order,
    graph,
    imports,
    module_name,
    relative,
    services,
    sources,
)

DRIVERS = ("asyncpg", "aiokafka", "aiohttp", "aiosmtplib", "fastapi", "opentelemetry.sdk")
POSTGRES_CALLS = {
    "execute",
    "executemany",
    "fetch",
    "fetchrow",
    "fetchval",
    "cursor",
    "copy_records_to_table",
}
CLOCKS = {"now", "utcnow", "today", "monotonic", "perf_counter"}

every_service = pytest.mark.parametrize("service", services())


def capability_of(module: str, service: str) -> str | None:
    """The capability of a service that a module belongs to; None if it is not in one."""
    parts = module.split(".")
    if parts[:2] != ["services", service] or len(parts) < 3:
        return None
    return parts[2] if parts[2] in capabilities(service) else None


@every_service
def test_capabilities_import_only_those_before_them(service: str) -> None:
    order = declared_order(service)
    assert order, f"services/{service}/__init__.py does not state the order of its capabilities"
    backwards = []
    for importer, imported in imports():
        lower, upper = capability_of(imported, service), capability_of(importer, service)
        if lower and upper and order.index(lower) > order.index(upper):
            backwards.append(f"{importer} imports {imported}")
    assert backwards == []


@every_service
def test_capabilities_do_not_import_what_composes_them(service: str) -> None:
    composing = {f"services.{service}.{name}" for name in ("app", "handlers", "cli")}
    upwards = [
        f"{importer} imports {imported}"
        for importer, imported in imports()
        if imported in composing and capability_of(importer, service)
    ]
    assert upwards == []


def test_there_are_no_import_cycles() -> None:
    edges: dict[str, set[str]] = {}
    for importer, imported in imports():
        edges.setdefault(importer, set()).add(imported)
    assert cycles(edges) == []


def cycles(edges: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """Strongly connected components of more than one module (Kosaraju)."""
    backwards: dict[str, set[str]] = {}
    for module, targets in edges.items():
        for target in targets:
            backwards.setdefault(target, set()).add(module)
    finished: list[str] = []
    seen: set[str] = set()
    for module in edges:
        finished += reachable(module, edges, seen)
    components, assigned = [], set[str]()
    for module in reversed(finished):
        component = reachable(module, backwards, assigned)
        if len(component) > 1:
            components.append(sorted(component))
    return sorted(components)


def reachable(start: str, edges: Mapping[str, Iterable[str]], seen: set[str]) -> list[str]:
    """Modules not yet `seen` that `start` reaches, each after all that it reaches."""
    if start in seen:
        return []
    seen.add(start)
    order: list[str] = []
    for target in edges.get(start, ()):
        order += reachable(target, edges, seen)
    return [*order, start]


def test_the_cycle_check_finds_cycles() -> None:
    edges = {"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": set[str](), "e": {"a", "f"}, "f": {"e"}}
    assert cycles(edges) == [["b", "c"], ["e", "f"]]


def may_use_postgres(module: str) -> bool:
    """In a service the stores; in `shared` the packages of Postgres and Kafka."""
    parts = module.split(".")
    if parts[0] == "services":
        return "store" in parts[3:]
    return parts[:2] in (["shared", "postgres"], ["shared", "kafka"])


def test_only_stores_import_asyncpg() -> None:
    importers = graph().find_modules_that_directly_import("asyncpg")
    assert sorted(module for module in importers if not may_use_postgres(module)) == []


def test_only_stores_call_postgres() -> None:
    callers = [
        relative(path)
        for path in sources("services", "shared")
        if not may_use_postgres(module_name(path)) and POSTGRES_CALLS & called_methods(path)
    ]
    assert callers == []


def pure_modules() -> list[str]:
    """The modules that decide: `domain` and `policy` of every capability, and what is in them."""
    return [
        name
        for path in sources("services")
        if {"domain", "policy"} & set((name := module_name(path)).split(".")[3:])
    ]


def test_decisions_read_no_clock() -> None:
    readers = []
    for path in sources("services"):
        name = module_name(path)
        if name in pure_modules():
            imported = graph().find_modules_directly_imported_by(name)
            if {"time", "shared.runtime.clock"} & imported or CLOCKS & called_methods(path):
                readers.append(relative(path))
    assert readers == [], "pass the time in, so that a test can set it"


def test_decisions_and_events_load_no_driver_even_indirectly() -> None:
    modules = [*pure_modules(), *(module_name(path) for path in sources("shared/events"))]
    assert modules
    program = (
        "import importlib, sys\n"
        "for name in sys.argv[1:]:\n"
        "    importlib.import_module(name)\n"
        f"    loaded = [driver for driver in {DRIVERS!r} if driver in sys.modules]\n"
        "    if loaded: sys.exit(f'{name} loads {loaded}')\n"
    )
    finished = subprocess.run(
        [sys.executable, "-c", program, *modules],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert finished.returncode == 0, finished.stderr.strip()


def test_every_package_is_in_the_graph() -> None:
    modules = graph().modules
    missing = [relative(path) for path in sources(*PACKAGES) if module_name(path) not in modules]
    assert missing == [], "a folder without __init__.py is invisible to these tests"
