"""What a newer schema breaks for those who hold to the older one. Pure; for the schemas that
pydantic writes.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

_UPPER = ("maxLength", "maxItems", "maxProperties", "maximum", "exclusiveMaximum")
_LOWER = ("minLength", "minItems", "minProperties", "minimum", "exclusiveMinimum")
_ABSENT = object()


@dataclass
class Place:
    """What may stand at one path: JSON types (with their format), values if they are listed,
    bounds.
    """

    types: set[str] = field(default_factory=set)
    values: set[str] = field(default_factory=set)
    bounds: dict[str, Any] = field(default_factory=dict)
    default: Any = _ABSENT
    required: bool = False
    closed: bool = False


def breaking_changes(old: Mapping[str, Any], new: Mapping[str, Any], written: bool) -> list[str]:
    """The breaks from one JSON Schema to a later one, in words; empty when every reader and writer
    can go on.

    Nothing that was taken may be refused: no type, value or bound is lost and no field becomes
    required. Of what is `written`, readers rely on more: fields stay present, and of the types that
    they had.
    """
    before, after = flatten(old), flatten(new)
    breaks = []
    for path, was in before.items():
        now = after.get(path)
        breaks += (
            [f"{path}: was removed"] if now is None else list(_compare(path, was, now, written))
        )
    for path in after.keys() - before.keys():
        if after[path].required and path.rpartition(".")[0] in before | {"": None}:
            breaks.append(f"{path}: is new and required")
    return sorted(breaks)


def _compare(path: str, was: Place, now: Place, written: bool) -> Iterator[str]:
    for lost in sorted(was.types - now.types):
        yield f"{path}: is no longer {lost}"
    for lost in sorted(was.values - now.values) if now.values else []:
        yield f"{path}: no longer takes {lost}"
    if now.values and not was.values:
        yield f"{path}: takes only listed values now"
    if now.required and not was.required:
        yield f"{path}: is required now"
    if now.closed and not was.closed:
        yield f"{path}: refuses unknown fields now"
    if _ABSENT not in (was.default, now.default) and was.default != now.default:
        yield f"{path}: when absent, means {now.default!r} instead of {was.default!r}"
    for name in _narrowed(was.bounds, now.bounds):
        yield f"{path}: {name} went from {was.bounds.get(name)} to {now.bounds[name]}"
    if written:
        for gained in sorted(now.types - was.types):
            yield f"{path}: may be {gained} now"
        if was.required and not now.required:
            yield f"{path}: may be absent now"


def _narrowed(was: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    for name, bound in now.items():
        before = was.get(name)
        if before is None or (
            bound < before
            if name in _UPPER
            else bound > before
            if name in _LOWER
            else bound != before
        ):
            yield name


def flatten(schema: Mapping[str, Any]) -> dict[str, Place]:
    """Every path of the schema: `incident.labels.*` for the values of a mapping, `links[]` for the
    items of a list.
    """
    places: dict[str, Place] = {}
    _walk(schema, "", schema.get("$defs", {}), places)
    return places


def _walk(
    schema: Mapping[str, Any], path: str, definitions: Mapping[str, Any], places: dict[str, Place]
) -> None:
    if reference := schema.get("$ref"):
        return _walk(definitions[reference.rpartition("/")[2]], path, definitions, places)
    place = places.setdefault(path, Place())
    for variant in schema.get("anyOf", ()):
        _walk(variant, path, definitions, places)
    if type_ := schema.get("type"):
        place.types.add(" ".join(filter(None, [type_, schema.get("format")])))
    place.values |= {
        repr(value) for value in schema.get("enum", [schema["const"]] if "const" in schema else ())
    }
    place.bounds |= {name: schema[name] for name in (*_UPPER, *_LOWER, "pattern") if name in schema}
    place.default = schema.get("default", place.default)
    place.closed |= schema.get("additionalProperties") is False
    for name, child in _children(schema, path):
        _walk(child, name, definitions, places)
    for name in schema.get("required", ()):
        places.setdefault(_join(path, name), Place()).required = True
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
