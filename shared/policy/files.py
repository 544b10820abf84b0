"""Policy files: checked whole, every error with its file, its line and its hint."""

import difflib
import hashlib
import os
import pathlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from typing import Annotated, Any, Generic, TypeVar, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from shared.events.validation import plain_reason
from shared.policy.secrets import WrittenRule
from shared.policy.tree import Finding, Path, PolicyError, PolicyTree

__all__ = [
    "Duration",
    "Finding",
    "InvalidPolicy",
    "PolicyError",
    "PolicyFile",
    "PolicyModel",
    "check_file",
    "did_you_mean",
    "keys_of",
    "read_policy",
]

_SPAN = re.compile(r"(\d{1,6})(s|m|h|d)")
_IN_A_FILE = {
    "model_type": "keys and values are expected here",
    "dict_type": "keys and values are expected here",
    "tuple_type": "a list is expected here",
    "string_type": "a text is expected here",
    "too_short": "at least one item is needed",
}
"""What is said better of a file than of a request."""
# A service reads an edit while it works: a large file full of errors must not hold it up.
_MOST_ERRORS = 50
_MOST_COMPARED = 1000
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class PolicyModel(BaseModel):
    """A part of a policy file: frozen, and unknown keys are errors."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", serialize_by_alias=True, validate_by_name=True
    )


M = TypeVar("M", bound=PolicyModel)


class InvalidPolicy(Exception):
    """A policy file cannot be used. `errors` has all that is wrong with it, in the order of its
    lines.
    """

    def __init__(self, errors: Iterable[PolicyError]) -> None:
        self.errors = sorted(errors, key=lambda error: (error.file, error.line))
        super().__init__("\n".join(map(str, self.errors)))


@dataclass(frozen=True, slots=True)
class PolicyFile(Generic[M]):
    """A policy that passed its checks. `version` is 12 hexadecimal digits of the SHA-256 of its
    bytes.
    """

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
    findings: Callable[[M], Iterable[Finding | WrittenRule]] = lambda _: (),
    environment: Mapping[str, str] = os.environ,
) -> PolicyFile[M]:
    """Parse and check one file. Raises InvalidPolicy with all errors that can be found at once; of
    very many, the first.

    `findings` are the service's own checks; they run when the shape is right. Beside findings they
    yield the rules for values that hold secrets (`shared.policy.secrets`).
    """
    tree = PolicyTree(name, environment)
    content = tree.read(data)
    if content is None:
        raise InvalidPolicy(tree.errors)
    try:
        policy = model.model_validate(content)
        problems = list(islice(_found(findings(policy), tree), _MOST_ERRORS))
    except ValidationError as error:
        problems = list(_explain(error, model))
    known = {error.line for error in tree.errors}
    if errors := tree.errors + [
        found for found in map(tree.error, problems) if found.line not in known
    ]:
        raise InvalidPolicy(errors)
    return PolicyFile(name, hashlib.sha256(data).hexdigest()[:12], data.decode(), policy)


def _found(findings: Iterable[Finding | WrittenRule], tree: PolicyTree) -> Iterator[Finding]:
    for found in findings:
        finding = found.finding(tree.written) if isinstance(found, WrittenRule) else found
        if finding is not None:
            yield finding


def check_file(file: pathlib.Path, read: Callable[[bytes], object]) -> list[PolicyError]:
    """All that is wrong with one file of a policy folder, by the `read` of its service."""
    try:
        read(file.read_bytes())
    except OSError as error:
        return [PolicyError(file.name, 0, f"the file cannot be read: {error.strerror}")]
    except InvalidPolicy as invalid:
        return invalid.errors
    return []


def keys_of(data: bytes, section: str) -> frozenset[str] | None:
    """The keys of a top-level section of another service's file; None when it cannot be read."""
    content = PolicyTree("", {}).read(data)
    names = content.get(section) if isinstance(content, dict) else None
    return frozenset(names) if isinstance(names, dict) else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint for a misspelt name; empty when nothing is close."""
    close = difflib.get_close_matches(word, islice(known, _MOST_COMPARED), n=1)
    return f"did you mean `{close[0]}`?" if close else ""


def _explain(error: ValidationError, model: type[PolicyModel]) -> Iterator[Finding]:
    """The model's complaints in the words of the file."""
    problems = error.errors(include_url=False, include_input=False)[:_MOST_ERRORS]
    for problem in problems:
        path = tuple(part for part in problem["loc"] if part != "[key]")
        name = str(path[-1]) if path else ""
        if problem["type"] == "extra_forbidden":
            yield Finding(
                path, f"unknown key `{name}`", did_you_mean(name, _keys(model, path[:-1]))
            )
        elif problem["type"] == "missing":
            yield Finding(path, f"the key `{name}` is missing", f"add `{name}:`")
        elif not _echoes(problem, problems):
            where = ".".join(map(str, path)) or "the file"
            message = _IN_A_FILE.get(problem["type"]) or plain_reason(problem)
            yield Finding(path, f"`{where}`: {message}")


def _echoes(problem: ErrorDetails, problems: Iterable[ErrorDetails]) -> bool:
    """Whether a list is called too short only because the items in it were refused."""
    depth = len(problem["loc"])
    return problem["type"] == "too_short" and any(
        len(other["loc"]) > depth and other["loc"][:depth] == problem["loc"] for other in problems
    )


def _keys(annotation: Any, path: Path) -> Iterator[str]:
    """The keys that are allowed at a path."""
    if isinstance(annotation, type) and issubclass(annotation, PolicyModel):
        fields = {
            info.alias or name: info.annotation for name, info in annotation.model_fields.items()
        }
        yield from _keys(fields.get(str(path[0])), path[1:]) if path else fields
    elif get_origin(annotation) in (dict, list, tuple):
        inner = get_args(annotation)[1 if get_origin(annotation) is dict else 0]
        yield from _keys(inner, path[1:])
    else:
        for option in get_args(annotation):
            yield from _keys(option, path)
