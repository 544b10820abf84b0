"""Texts as senders write them, within the bounds of a signal: what is odd or too long costs itself,
never the request.
"""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from shared.events.cloudevents import Malformed, load_json
from shared.events.text import shorten

MAX_KEY = 255
_MAX_NAME = 255
_MAX_TEXT = 4096
_MAX_TEXTS = 128
_MAX_LINK = 2048
_MAX_LINKS = 20


def load_object(body: bytes, limit: int) -> dict[str, Any]:
    """The JSON object of a body. Raises Malformed."""
    document = load_json(body, "body", limit)
    if not isinstance(document, dict):
        raise Malformed("body", "must be a JSON object")
    return document


def text(value: Any, length: int = _MAX_TEXT) -> str:
    """Any value as a text of at most `length` characters, without NUL."""
    if value is None:
        return ""
    if isinstance(value, bool | dict | list):
        value = orjson.dumps(value).decode()
    return shorten(str(value).replace("\x00", ""), length)


def texts(named: Mapping[Any, Any]) -> dict[str, str]:
    """Labels or annotations: the first ones, and the number of those that are too many. What is
    empty is left out.
    """
    kept = {}
    for name, value in named.items():
        if (key := text(name, _MAX_NAME)) and (written := text(value)):
            kept[key] = written
    if len(kept) <= _MAX_TEXTS:
        return kept
    omitted = len(kept) - _MAX_TEXTS + 1  # the entry with their number takes a place
    first = dict(list(kept.items())[: _MAX_TEXTS - 1])
    return first | {"…": f"{omitted} more were left out"}


def links(addresses: Iterable[Any]) -> list[str]:
    """The web addresses among these, each once."""
    found = [one for one in addresses if isinstance(one, str) and _is_link(one)]
    return list(dict.fromkeys(found))[:_MAX_LINKS]


def _is_link(address: str) -> bool:
    is_web = address.lower().startswith(("http://", "https://"))
    return is_web and len(address) <= _MAX_LINK and "\x00" not in address


def identity(key: Any) -> str:
    """A sender's key within the bound of a signal's key, the same for the beginning and the end of
    an alert: a long one becomes a hash of the whole.
    """
    whole = str(key).replace("\x00", "") if isinstance(key, str | int | float) else ""
    if len(whole) <= MAX_KEY:
        return whole
    return f"{whole[: MAX_KEY - 65]} {hashlib.sha256(whole.encode()).hexdigest()}"
