"""JSON from untrusted bytes, within bounds. Only Malformed is ever raised."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from shared.events.malformed import Malformed

MAX_EVENT_BYTES = 512 * 1024
MAX_DEPTH = 64
"""Levels of objects and lists in each other. What is accepted has to be written as JSON again, and
writers refuse deep nesting sooner than parsers do.
"""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"  # a pair: one character
    rb"|(?P<lone>u[dD][89a-fA-F][0-9a-fA-F]{2})"
    rb"|.)",
    re.DOTALL,
)
_LONE = re.compile(rb"\\u[dD][89a-fA-F]")
_WHOLE = ("body", "value")
_NAMED_LEVELS = 4


def load_json(body: bytes, what: str = "body", limit: int = MAX_EVENT_BYTES) -> Any:
    r"""A JSON value of at most `limit` bytes and MAX_DEPTH levels. `what` names it in errors.

    A byte order mark is ignored. Half of a surrogate pair (an emoji cut in two) becomes U+FFFD, but
    is refused in what identifies an event, since two ids must not become one.
    """
    if len(body) > limit:
        raise Malformed(what, f"is {len(body)} bytes; at most {limit} are taken")
    body = body.removeprefix(_BYTE_ORDER_MARK)
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        if not _LONE.search(body):
            raise Malformed(what, f"is not JSON: {error}") from None
        document = _load_damaged(body, what)
    # A document cannot be deeper than it has brackets: for most, nothing more is checked.
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH:
        check_depth(document, what)
    return document


def check_depth(document: Any, what: str) -> None:
    """Raises Malformed, naming the field, when a parsed document is nested too deeply."""
    level = [document] if type(document) in (dict, list) else []
    for _ in range(MAX_DEPTH):
        level = _inside(level)
        if not level:
            return
    first, *others = _deep_path(document)
    names = [f"[{first}]" if isinstance(first, int) else first, *map(str, others)]
    field = ".".join(names if what in _WHOLE else [what, *names])
    raise Malformed(field, f"is nested more than {MAX_DEPTH} levels deep")


def replace_lone_surrogates(body: bytes) -> bytes:
    r"""The JSON text with U+FFFD for each half of a surrogate pair that is escaped alone."""
    if not _LONE.search(body):
        return body
    return _ESCAPE.sub(lambda found: rb"\ufffd" if found["lone"] else found[0], body)


def _load_damaged(body: bytes, what: str) -> Any:
    try:
        document = orjson.loads(replace_lone_surrogates(body))
    except orjson.JSONDecodeError as error:
        raise Malformed(what, f"is not JSON: {error}") from None
    for where, event in _events(document):
        for name in ("id", "source"):
            if "\ufffd" in str(event.get(name)):
                raise Malformed(where + name, "contains half of a surrogate pair")
    return document


def _events(document: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """The events in structured mode, alone or in a batch."""
    listed = enumerate(document) if isinstance(document, list) else ((None, document),)
    for number, event in listed:
        if isinstance(event, dict) and "specversion" in event:
            yield "" if number is None else f"[{number}].", event


def _inside(values: Iterable[Any]) -> list[Any]:
    """The objects and lists directly inside these."""
    inside: list[Any] = []
    for value in values:
        children = value.values() if type(value) is dict else value
        inside += [child for child in children if type(child) in (dict, list)]
    return inside


def _deep_path(document: Any) -> list[str | int]:
    """The first steps of the way to what is nested too deeply."""
    path: list[str | int] = []
    while len(path) < _NAMED_LEVELS:
        named = document.items() if type(document) is dict else enumerate(document)
        step, document = max(named, key=lambda pair: _depth(pair[1]))
        path.append(step)
    return path


def _depth(value: Any) -> int:
    level, depth = [value] if type(value) in (dict, list) else [], 0
    while level:
        level, depth = _inside(level), depth + 1
    return depth
