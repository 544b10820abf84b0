"""The folder tree and the import graph, as the architecture tests read them.

Nothing here lists services, capabilities or modules: all of them are found in the tree.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import grimp

ROOT = Path(__file__).parents[2]
PACKAGES = ("services", "shared", "deploy")
STANDARD_MODULES = ("policy", "domain", "store", "http", "cli", "metrics")
"""The modules of a capability that have a fixed purpose; each may be a package."""
VENDOR_FOLDERS = {"gateways": "GATEWAY", "channels": "CHANNEL"}
"""Folders of one module a vendor, and the name that each of these modules declares."""
_ORDER = re.compile(r"Capabilities, each may import those before it:\s+([a-z_,\s]+)\.")


def services() -> list[str]:
    """Names of the services: the packages in services/."""
    return _subpackages(ROOT / "services")


def capabilities(service: str) -> list[str]:
    """Names of a service's capabilities: its subpackages."""
    return _subpackages(ROOT / "services" / service)


def all_capabilities() -> list[tuple[str, str]]:
    """Every (service, capability)."""
    return [(service, name) for service in services() for name in capabilities(service)]


def _subpackages(folder: Path) -> list[str]:
    return sorted(path.parent.name for path in folder.glob("*/__init__.py"))


def declared_order(service: str) -> list[str]:
    """The capabilities as ordered in the service's docstring; empty if it states no order."""
    found = _ORDER.search(docstring(ROOT / "services" / service / "__init__.py"))
    return re.split(r",\s+", found[1].strip()) if found else []


def sources(*folders: str) -> list[Path]:
    """The Python files of folders."""
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def relative(path: Path) -> str:
    """The path as reports show it."""
    return path.relative_to(ROOT).as_posix()


def module_name(path: Path) -> str:
    """`services/intake/app.py` -> `services.intake.app`."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def parse(path: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(path.read_text())


def docstring(path: Path) -> str:
    """The docstring of a module; empty if there is none."""
    return ast.get_docstring(parse(path)) or ""


def public_classes(path: Path) -> list[str]:
    """Public top-level classes; exceptions do not count, so a module may define those it raises."""
    return [
        node.name
        for node in parse(path).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_") and not _raises(node)
    ]


def _raises(node: ast.ClassDef) -> bool:
    bases = {base.id for base in node.bases if isinstance(base, ast.Name)}
    return any(name.endswith(("Exception", "Error")) for name in bases)


def assigned_names(path: Path) -> set[str]:
    """Names that a module assigns at its top level."""
    names: set[str] = set()
    for node in parse(path).body:
        targets: list[ast.expr] = []
        if isinstance(node, ast.Assign):
            targets = node.targets
        elif isinstance(node, ast.AnnAssign):
            targets = [node.target]
        names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return names


def called_methods(path: Path) -> set[str]:
    """Names of the methods that a file calls."""
    return {
        node.func.attr
        for node in ast.walk(parse(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """All functions of a file, methods and nested ones included."""
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


@cache
def graph() -> grimp.ImportGraph:
    """Who imports whom; imports inside functions and for type checkers count."""
    return grimp.build_graph(*PACKAGES, include_external_packages=True, cache_dir=None)


def imports() -> Iterator[tuple[str, str]]:
    """Every (importer, imported) of the graph."""
    for importer in sorted(graph().modules):
        for imported in sorted(graph().find_modules_directly_imported_by(importer)):
            yield importer, imported
