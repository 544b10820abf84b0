"""Every service has the same plan; a capability holds only the modules that the plan names."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.tree import (
    ROOT,
    STANDARD_MODULES,
    VENDOR_FOLDERS,
    all_capabilities,
    assigned_names,
    capabilities,
    declared_order,
    docstring,
    public_classes,
    relative,
    services,
    sources,
)

REQUIRED_MODULES = {"__init__", "app", "handlers", "cli", "topics"}
DECLARATIONS = {"metrics", "spans", "topics"}

every_service = pytest.mark.parametrize("service", services())
every_capability = pytest.mark.parametrize(("service", "capability"), all_capabilities())


@every_service
def test_a_service_has_the_modules_of_the_plan_and_no_others(service: str) -> None:
    folder = ROOT / "services" / service
    modules = {path.stem for path in folder.glob("*.py")}
    assert modules >= REQUIRED_MODULES
    assert modules - REQUIRED_MODULES <= DECLARATIONS
    assert list((folder / "migrations").glob("0001_*.sql"))


@every_service
def test_modules_of_declarations_hold_no_code(service: str) -> None:
    for name in DECLARATIONS:
        path = ROOT / "services" / service / f"{name}.py"
        if path.exists():
            code = [node for node in ast.walk(ast.parse(path.read_text())) if is_code(node)]
            assert code == [], relative(path)


def is_code(node: ast.AST) -> bool:
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda)


@every_service
def test_handlers_are_one_class_of_that_name(service: str) -> None:
    path = ROOT / "services" / service / "handlers.py"
    assert public_classes(path) == ["Handlers"]


@every_service
def test_a_service_states_its_topics_and_schema(service: str) -> None:
    stated = docstring(ROOT / "services" / service / "__init__.py").lower()
    for words in ("topics in", "topics out", "schema owned"):
        assert words in stated, f"services/{service}/__init__.py does not state its {words}"


@every_service
def test_a_service_lists_exactly_the_capabilities_that_it_has(service: str) -> None:
    assert sorted(declared_order(service)) == capabilities(service)


@every_capability
def test_a_capability_holds_standard_modules_components_and_vendors(
    service: str, capability: str
) -> None:
    folder = ROOT / "services" / service / capability
    unexpected = [
        f"{relative(path)}: {problem}"
        for path in sorted(folder.rglob("*.py"))
        if path.stem != "__init__" and (problem := misplaced(path, folder))
    ]
    assert unexpected == []


def misplaced(path: Path, capability: Path) -> str | None:
    """Why a module does not belong in its capability; None if it does."""
    first, *rest = path.relative_to(capability).with_suffix("").parts
    if first in STANDARD_MODULES:
        return None
    if rest and is_vendor(capability / first / "__init__.py", capability.name):
        return None
    if rest and first not in VENDOR_FOLDERS:
        return f"{first}/ is no standard module and no folder of vendors"
    declaration = VENDOR_FOLDERS.get(path.parent.name)
    if declaration in assigned_names(path):
        return None
    if is_component(path) or is_interface(path):
        return None
    return f"expected one public class named after the module, found {public_classes(path)}"


def is_vendor(path: Path, folder: str) -> bool:
    """A vendor is one module of the folder; one that outgrew it is a package, which declares the
    same.
    """
    place = path.parent.parent if path.stem == "__init__" else path.parent
    return place.name == folder and VENDOR_FOLDERS.get(folder) in assigned_names(path)


def is_interface(path: Path) -> bool:
    """`gateways/gateway.py` declares what vendor modules fill in: Gateway, and the types it is made
    of.
    """
    folder = path.parent.name
    if folder not in VENDOR_FOLDERS or path.stem != folder.removesuffix("s"):
        return False
    return path.stem.capitalize() in public_classes(path)


def is_component(path: Path) -> bool:
    """`key_ring.py` holds the class KeyRing and no other public class."""
    wanted = path.stem.replace("_", "")
    return [name.lower() for name in public_classes(path)] == [wanted]


@pytest.mark.parametrize(("folder", "declaration"), VENDOR_FOLDERS.items())
def test_vendors_are_declared_in_their_folder_only(folder: str, declaration: str) -> None:
    (service,) = [name for name in services() if list(vendors(name, folder, declaration))]
    elsewhere = [
        relative(path)
        for path in sources(f"services/{service}")
        if declaration in assigned_names(path) and not is_vendor(path, folder)
    ]
    assert elsewhere == []


def vendors(service: str, folder: str, declaration: str) -> Iterator[Path]:
    """The modules of a service that declare a gateway or a channel in their folder."""
    for path in sources(f"services/{service}"):
        if is_vendor(path, folder) and declaration in assigned_names(path):
            yield path
