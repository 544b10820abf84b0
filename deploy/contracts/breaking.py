"""What a newer JSON Schema breaks for readers and writers of an older one. Pure; handles the subset
of JSON Schema that pydantic generates.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

_UPPER = ("maxLength", "maxItems", "maxProperties", "maximum", "exclusiveMaximum")
_LOWER = ("minLength", "minItems", "minProperties", "minimum", "exclusiveMinimum")
_BOUNDS = (*_UPPER, *_LOWER, "pattern")
_ABSENT = object()


@dataclass
class Constraints:
    """The constraints at one path: JSON types (with their format), allowed values, bounds."""

    types: set[str] = field(default_factory=set)
    values: set[str] = field(default_factory=set)
    bounds: dict[str, Any] = field(default_factory=dict)
    default: Any = _ABSENT
    required: bool = False
    closed: bool = False


def breaking_changes(old: Mapping[str, Any], new: Mapping[str, Any], written: bool) -> list[str]:
    """Describe every breaking change from `old` to `new`; empty if they are compatible.

    The new schema must accept whatever the old one accepted: no type or value is removed, no bound
    is narrowed and no field becomes required. For events that Tocsin has `written`, fields must
    also stay present and keep exactly the types that they had.
    """
    before, after = flatten(old), flatten(new)
    breaks = []
    for path, was in before.items():
        now = after.get(path)
        if now is None:
            breaks.append(f"{path}: was removed")
            continue
        breaks += [f"{path}: {change}" for change in _narrower(was, now)]
        if written:
            breaks += [f"{path}: {change}" for change in _looser(was, now)]
    for path in after.keys() - before.keys():
        if after[path].required and path.rpartition(".")[0] in before | {"": None}:
            breaks.append(f"{path}: is new and required")
    return sorted(breaks)


def _narrower(was: Constraints, now: Constraints) -> Iterator[str]:
    """Changes that refuse what was accepted."""
    for lost in sorted(was.types - now.types):
        yield f"is no longer {lost}"
    for lost in sorted(was.values - now.values) if now.values else []:
        yield f"no longer takes {lost}"
    if now.values and not was.values:
        yield "takes only listed values now"
    if now.required and not was.required:
        yield "is required now"
    if now.closed and not was.closed:
        yield "refuses unknown fields now"
    if _ABSENT not in (was.default, now.default) and was.default != now.default:
        yield f"when absent, means {now.default!r} instead of {was.default!r}"
    for name, bound in now.bounds.items():
        if _is_narrower(name, was.bounds.get(name), bound):
            yield f"{name} went from {was.bounds.get(name)} to {bound}"


def _looser(was: Constraints, now: Constraints) -> Iterator[str]:
    """Changes that add values which readers did not have to expect."""
    for gained in sorted(now.types - was.types):
        yield f"may be {gained} now"
    if was.required and not now.required:
        yield "may be absent now"


def _is_narrower(name: str, before: Any, after: Any) -> bool:
    if before is None:
        return True
    if name in _UPPER:
        return bool(after < before)
    if name in _LOWER:
        return bool(after > before)
    return bool(after != before)


def flatten(schema: Mapping[str, Any]) -> dict[str, Constraints]:
    """Constraints by path: `labels.*` for values of a mapping, `links[]` for items of a list."""
    paths: dict[str, Constraints] = {}
    _walk(schema, "", schema.get("$defs", {}), paths)
    return paths


def _walk(
    schema: Mapping[str, Any],
    path: str,
    definitions: Mapping[str, Any],
    paths: dict[str, Constraints],
) -> None:
    if reference := schema.get("$ref"):
        return _walk(definitions[reference.rpartition("/")[2]], path, definitions, paths)
    constraints = paths.setdefault(path, Constraints())
    for variant in schema.get("anyOf", ()):
        _walk(variant, path, definitions, paths)
    if type_ := schema.get("type"):
        constraints.types.add(" ".join(filter(None, [type_, schema.get("format")])))
    constants = [schema["const"]] if "const" in schema else []
    constraints.values |= {repr(value) for value in schema.get("enum", constants)}
    constraints.bounds |= {name: schema[name] for name in _BOUNDS if name in schema}
    constraints.default = schema.get("default", constraints.default)
    constraints.closed |= schema.get("additionalProperties") is False
    for name, child in _children(schema, path):
        _walk(child, name, definitions, paths)
    for name in schema.get("required", ()):
        paths.setdefault(_join(path, name), Constraints()).required = True
    return None


def _children(schema: Mapping[str, Any], path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, child in schema.get("properties", {}).items():
        yield _join(path, name), child
    if isinstance(mapped := schema.get("additionalProperties"), dict):
        yield f"{path}.*", mapped
    if names := schema.get("propertyNames"):
        yield f"{path}.*name", names
    if isinstance(items := schema.get("items"), dict):
        yield f"{path}[]", items
    for index, item in enumerate(schema.get("prefixItems", ())):
        yield f"{path}[{index}]", item


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
