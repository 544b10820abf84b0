"""Values of senders as texts, times and labels within bounds. Nothing here refuses a value: what
cannot be used is left out.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from services.intake.signals.domain.data import known_time
from shared.events.text import shorten
from shared.events.times import read_time

MAX_NAME = 255
MAX_TEXT = 1024
_MAX_LABEL = 4096
_MAX_LABELS = 128
_MAX_LINKS = 20
_MAX_LINK = 2048
_DOTTED_DATE = re.compile(r"(\d{4})[./](\d\d)[./](\d\d)\b")
_NUMBER = re.compile(r"\d{9,19}(\.\d+)?")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST_SECOND = 10**11
"""The year 5138: larger numbers count milliseconds, microseconds or nanoseconds."""


def text(value: Any, length: int = _MAX_LABEL) -> str:
    """Any value as a text of at most `length` characters, without NUL; empty for null."""
    if value is None:
        return ""
    if isinstance(value, bool):
        value = str(value).lower()
    elif isinstance(value, dict | list):
        value = _json(value)
    return shorten(str(value).replace("\x00", ""), length)


def _json(value: Any) -> str:
    try:
        return orjson.dumps(value, default=str).decode()
    except orjson.JSONEncodeError:  # nested too deeply, or a number of more than 64 bits
        return ""


def line(value: Any, length: int = MAX_TEXT) -> str:
    """A text without white space around it; of a list, its first item that is not blank."""
    if isinstance(value, list):
        return next(filter(None, (line(item, length) for item in value)), "")
    return text(value, length).strip()


def name(value: Any) -> str | None:
    """A name of at most 255 characters, or None."""
    return line(value, MAX_NAME) or None


def key(value: Any) -> str | None:
    """What identifies an alert: a text, or the texts of a list with slashes between them; None
    where all are empty. One that is too long becomes its beginning and a hash of the whole.
    """
    parts = value if isinstance(value, list) else [value]
    texts = [text(part, 1_000_000).strip() for part in parts]
    if not any(texts):
        return None
    # A slash within a part is doubled, so that ["a/b", "c"] and ["a", "b/c"] stay apart.
    whole = "/".join(part.replace("/", "//") for part in texts) if len(texts) > 1 else texts[0]
    if len(whole) <= MAX_NAME:
        return whole
    return f"{whole[: MAX_NAME - 65]} {hashlib.sha256(whole.encode()).hexdigest()}"


def moment(value: Any) -> datetime | None:
    """A time in UTC: RFC 3339, `2026-11-29 10:00:00 UTC`, `2026.11.29 10:00:00`, or a number of
    seconds, milliseconds, microseconds or nanoseconds since 1970.
    """
    if isinstance(value, bool) or value is None:
        return None
    written = text(value, 64).strip()
    if _NUMBER.fullmatch(written):
        return _since_1970(float(written))
    written = written.removesuffix("UTC").removesuffix("GMT").strip()
    return known_time(read_time(_DOTTED_DATE.sub(r"\1-\2-\3", written, count=1)))


def _since_1970(number: float) -> datetime | None:
    while number >= _LATEST_SECOND:
        number /= 1000
    return _EPOCH + timedelta(seconds=number)


def links(value: Any) -> list[str]:
    """Links as texts, whatever they are: who shows one checks that it is one."""
    listed = value if isinstance(value, list) else [value]
    found = (line(link, _MAX_LINK) for link in listed if not isinstance(link, dict | list))
    return list(dict.fromkeys(filter(None, found)))[:_MAX_LINKS]


def labels(value: Any) -> dict[str, str]:
    """Labels of an object, of a list or a text of `name:value`, or of a list of pairs. Of too many,
    the number of the others is kept.
    """
    found: dict[str, str] = {}
    for label, content in _named(value):
        if (label_name := text(label, MAX_NAME).strip()) and content is not None:
            found.setdefault(label_name, text(content))
    if len(found) <= _MAX_LABELS:
        return found
    kept = dict(list(found.items())[: _MAX_LABELS - 1])
    return kept | {"…": f"{len(found) - len(kept)} more were left out"}


def _named(value: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, Mapping):
        yield from value.items()
        return
    listed = value.split(",") if isinstance(value, str) else value
    for item in listed if isinstance(listed, list) else []:
        if isinstance(item, str):
            label, colon, content = item.partition(":")
            yield label, content.strip() if colon else None
        elif isinstance(item, list) and len(item) == 2:
            yield item[0], item[1]
        elif isinstance(item, Mapping) and "value" in item:
            yield item.get("key", item.get("name", item.get("tag"))), item["value"]
