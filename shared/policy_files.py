"""Policy files: YAML read without surprises, checked whole, every error with its file, its line and its mend.

Scalars reach the models as the text that stands in the file (`null`, `~` and nothing are None), so that YAML 1.1's
guesses (17:30 is 1050, no is False) cannot happen. `${TOCSIN_...}` in a value is taken from the environment.
"""

import difflib
import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated, Any, Generic, TypeVar, get_args, get_origin

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

MAX_BYTES = 1024 * 1024
_MAX_NODES = 100_000
_MAX_DEPTH = 32
_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_PLAIN_TAG = re.compile(r"tag:yaml\.org,2002:\w+")
_SPAN = re.compile(r"(\d+)(s|m|h|d)")
_PLAIN = {
    "model_type": "keys and values are expected here",
    "dict_type": "keys and values are expected here",
    "tuple_type": "a list is expected here",
    "string_type": "a text is expected here",
    "too_short": "at least one item is needed",
}
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}

Path = tuple[str | int, ...]
"""Where something stands in a file: keys and list positions, from the top."""


class PolicyModel(BaseModel):
    """A part of a policy file: frozen, and unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", serialize_by_alias=True, validate_by_name=True)


M = TypeVar("M", bound=PolicyModel)


@dataclass(frozen=True, slots=True)
class Finding:
    """What a service's own check found at a path of its file."""

    path: Path
    message: str
    mend: str = ""


@dataclass(frozen=True, slots=True)
class PolicyError:
    """One error: where it stands, what is wrong and how to mend it. Never holds a value that may be secret."""

    file: str
    line: int
    message: str
    mend: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}" + (f"; {self.mend}" if self.mend else "")


class InvalidPolicy(Exception):
    """A policy file cannot be used. `errors` has all that is wrong with it, in the order of its lines."""

    def __init__(self, errors: Iterable[PolicyError]) -> None:
        self.errors = sorted(errors, key=lambda error: (error.file, error.line))
        super().__init__("\n".join(map(str, self.errors)))


@dataclass(frozen=True, slots=True)
class PolicyFile(Generic[M]):
    """A policy that passed its checks. `version` is 12 hexadecimal digits of the SHA-256 of its bytes."""

    name: str
    version: str
    text: str
    content: M


def _duration(value: Any) -> Any:
    match = _SPAN.fullmatch(value) if isinstance(value, str) else None
    if match:
        return timedelta(**{_UNITS[match[2]]: int(match[1])})
    if isinstance(value, timedelta) or (isinstance(value, str) and value.startswith("P")):
        return value
    raise ValueError("write a duration as a number with its unit: 15s, 2m, 1h or 7d")


Duration = Annotated[timedelta, BeforeValidator(_duration)]
"""A span of time: `15s`, `2m`, `1h`, `7d`; ISO 8601 (`PT15S`) in stored snapshots."""


def read_policy(
    name: str,
    data: bytes,
    model: type[M],
    findings: Callable[[M], Iterable[Finding]] = lambda _: (),
    environment: Mapping[str, str] = os.environ,
) -> PolicyFile[M]:
    """Parse and check one file. Raises InvalidPolicy with all errors that can be told at once.

    `findings` are the service's own checks; they run when the shape is right.
    """
    tree = _Tree(name, environment)
    content = tree.read(data)
    if content is None:
        raise InvalidPolicy(tree.errors)
    try:
        policy = model.model_validate(content)
        problems = list(findings(policy))
    except ValidationError as error:
        problems = list(_explain(error, model))
    known = {error.line for error in tree.errors}
    if errors := tree.errors + [found for found in map(tree.error, problems) if found.line not in known]:
        raise InvalidPolicy(errors)
    return PolicyFile(name, hashlib.sha256(data).hexdigest()[:12], data.decode(), policy)


def keys_of(data: bytes, section: str) -> frozenset[str] | None:
    """The keys of a top-level section of another service's file; None when the file cannot tell."""
    content = _Tree("", {}).read(data)
    names = content.get(section) if isinstance(content, dict) else None
    return frozenset(names) if isinstance(names, dict) else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The mend for a misspelt name; empty when nothing is close."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"did you mean `{close[0]}`?" if close else ""


@dataclass(slots=True)
class _Tree:
    """The content of one file as plain values, with the line of every path."""

    file: str
    environment: Mapping[str, str]
    errors: list[PolicyError] = field(default_factory=list)
    lines: dict[Path, int] = field(default_factory=dict)

    def read(self, data: bytes) -> Any:
        """The content; faults go to `errors`."""
        if len(data) > MAX_BYTES:
            return self._fault(1, f"the file has {len(data)} bytes", f"at most {MAX_BYTES} are read")
        try:
            root = yaml.compose(data.decode(), yaml.SafeLoader)
            return self._value(root, ()) if root else {}
        except UnicodeDecodeError as error:
            return self._fault(data[: error.start].count(b"\n") + 1, "the file is not UTF-8")
        except RecursionError:
            return self._fault(1, "the file is nested too deeply, or grows too large by its aliases")
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            return self._fault(mark.line + 1 if mark else 1, f"not YAML: {error.problem or error.context}")
        except yaml.YAMLError as error:  # an unprintable character: no mark, only an offset
            return self._fault(1, f"not YAML: {str(error).splitlines()[0]}")

    def error(self, finding: Finding) -> PolicyError:
        """The finding with its line: that of the nearest part that exists."""
        path = finding.path
        while path and path not in self.lines:
            path = path[:-1]
        return PolicyError(self.file, self.lines.get(path, 1), finding.message, finding.mend)

    def _fault(self, line: int, message: str, mend: str = "") -> None:
        self.errors.append(PolicyError(self.file, line, message, mend))

    def _value(self, node: yaml.Node, path: Path) -> Any:
        line = node.start_mark.line + 1
        self.lines.setdefault(path, line)
        # Aliases are followed, so a small file can grow without end: what is expanded is bounded, not what is written.
        if len(self.lines) > _MAX_NODES or len(path) > _MAX_DEPTH:
            raise RecursionError
        if not _PLAIN_TAG.fullmatch(node.tag):
            return self._fault(line, f"the tag {node.tag} is not known", "write the value plainly")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self._value(item, (*path, index)) for index, item in enumerate(node.value)]
        if getattr(node, "style", None) is None and node.value in ("", "~", "null"):
            return None
        return _VARIABLE.sub(lambda match: self._variable(match[1], line), node.value)

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode) or key.tag == "tag:yaml.org,2002:merge":
                self._fault(line, "this kind of key is not supported", "write the keys out")
            elif key.value in mapping:
                first = self.lines[(*path, key.value)]
                self._fault(line, f"the key `{key.value}` stands here a second time", f"the first is in line {first}")
            else:
                self.lines[(*path, key.value)] = line
                mapping[key.value] = self._value(value, (*path, key.value))
        return mapping

    def _variable(self, name: str, line: int) -> str:
        if not name.startswith("TOCSIN_"):
            self._fault(line, f"the variable `{name}` is not taken", "only names that begin with TOCSIN_ are")
        elif name not in self.environment:
            self._fault(line, f"the environment variable {name} is not set", "set it, or write the value here")
        return self.environment.get(name, "")


def _explain(error: ValidationError, model: type[PolicyModel]) -> Iterator[Finding]:
    """The model's complaints in the words of the file."""
    problems = error.errors(include_url=False, include_input=False)
    for problem in problems:
        path = tuple(part for part in problem["loc"] if part != "[key]")
        name = str(path[-1]) if path else ""
        if problem["type"] == "extra_forbidden":
            yield Finding(path, f"unknown key `{name}`", did_you_mean(name, _keys(model, path[:-1])))
        elif problem["type"] == "missing":
            yield Finding(path, f"the key `{name}` is missing", f"add `{name}:`")
        elif not _echoes(problem, problems):
            where = ".".join(map(str, path)) or "the file"
            message = _PLAIN.get(problem["type"], problem["msg"].removeprefix("Value error, "))
            yield Finding(path, f"`{where}`: {message}")


def _echoes(problem: ErrorDetails, problems: Iterable[ErrorDetails]) -> bool:
    """Whether a list is called too short only because the items in it were refused."""
    depth = len(problem["loc"])
    return problem["type"] == "too_short" and any(
        len(other["loc"]) > depth and other["loc"][:depth] == problem["loc"] for other in problems
    )


def _keys(annotation: Any, path: Path) -> Iterator[str]:
    """The keys that may stand at a path."""
    if isinstance(annotation, type) and issubclass(annotation, PolicyModel):
        fields = {info.alias or name: info.annotation for name, info in annotation.model_fields.items()}
        yield from _keys(fields.get(str(path[0])), path[1:]) if path else fields
    elif get_origin(annotation) in (dict, list, tuple):
        inner = get_args(annotation)[1 if get_origin(annotation) is dict else 0]
        yield from _keys(inner, path[1:])
    else:
        for option in get_args(annotation):
            yield from _keys(option, path)
