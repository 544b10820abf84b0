"""How many bytes of a signal go into events. A Kafka message holds 1 MB, and the facts of three
services repeat an incident's texts, so they are bounded as they are written: names included, in
bytes of JSON, where a control character takes six.
"""

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import orjson
from pydantic import BaseModel

MAX_LABEL_BYTES = 128 * 1024
MAX_ANNOTATION_BYTES = 96 * 1024
MAX_LINK_BYTES = 32 * 1024
MAX_DESCRIPTION_BYTES = 32 * 1024
"""Separate bounds, so that shortening the labels, which identify an incident, does not depend on
the annotations: those differ between an alert and its resolve.
"""

ELLIPSIS = "…"
_MAX_BYTES_PER_CHARACTER = 6  # `\u001b`; four bytes in UTF-8 is less
_AROUND_TEXT = len('"":"",')
_RESERVED = 64  # for the entry with the number of omitted texts

Data = TypeVar("Data", bound=BaseModel)


def within_bounds(data: Data) -> Data:
    """The same data, its labels, annotations, links and description within bounds."""
    changed: dict[str, Any] = {}
    for name, limit in (("labels", MAX_LABEL_BYTES), ("annotations", MAX_ANNOTATION_BYTES)):
        texts = getattr(data, name, {})
        if not _fits(limit, *texts, *texts.values()):
            changed[name] = bounded_texts(texts, limit)
    description = getattr(data, "description", None) or ""
    if not _fits(MAX_DESCRIPTION_BYTES, description):
        changed["description"] = shorten_bytes(description, MAX_DESCRIPTION_BYTES)
    links = getattr(data, "links", [])
    if not _fits(MAX_LINK_BYTES, *links):
        changed["links"] = bounded_links(links, MAX_LINK_BYTES)
    return data.model_copy(update=changed) if changed else data


def bounded_texts(texts: Mapping[str, str], limit: int) -> dict[str, str]:
    """Named texts of at most `limit` bytes as JSON. Texts that are too long end in an ellipsis; of
    names for which nothing is left, the number is kept, under an ellipsis for a name.
    """
    if _fits(limit, *texts, *texts.values()):
        return dict(texts)
    kept: dict[str, str] = {}
    left = limit - _RESERVED
    for name, text in texts.items():
        left -= _bytes(name) + _AROUND_TEXT
        if left < _bytes(ELLIPSIS):
            kept[ELLIPSIS] = f"{len(texts) - len(kept)} more were left out"
            break
        kept[name] = shortened = shorten_bytes(text, left)
        left -= _bytes(shortened)
    return kept


def bounded_links(links: Iterable[str], limit: int) -> list[str]:
    """The first links that fit into `limit` bytes as JSON: half a link leads nowhere."""
    kept: list[str] = []
    for link in links:
        limit -= _bytes(link) + _AROUND_TEXT
        if limit < 0:
            break
        kept.append(link)
    return kept


def shorten_bytes(text: str, limit: int) -> str:
    """The text, or its beginning and an ellipsis where it takes more than `limit` bytes as JSON."""
    if _bytes(text) <= limit:
        return text
    low, high = 0, min(len(text), limit)
    while low < high:  # the longest beginning that fits
        middle = (low + high + 1) // 2
        if _bytes(text[:middle]) + _bytes(ELLIPSIS) <= limit:
            low = middle
        else:
            high = middle - 1
    return text[:low] + ELLIPSIS


def _fits(limit: int, *texts: str) -> bool:
    """Whether the texts fit. Nearly all do even if every character took six bytes: only the others
    are measured.
    """
    most = sum(_MAX_BYTES_PER_CHARACTER * len(text) + _AROUND_TEXT for text in texts)
    return most <= limit or sum(_bytes(text) + _AROUND_TEXT for text in texts) <= limit


def _bytes(text: str) -> int:
    return len(orjson.dumps(text)) - len('""')
