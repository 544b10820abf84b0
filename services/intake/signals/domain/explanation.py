"""What is kept of a decision, so that it can be explained and made again."""

import zlib
from collections.abc import Sequence
from typing import Any

import orjson

from services.intake.signals.domain.bounds import bounded_links, bounded_texts, shorten_bytes
from services.intake.signals.domain.data import KINDS
from services.intake.signals.domain.signal import Signal, Taken

_KINDS = {model: name.rpartition(".")[2] for name, model in KINDS.items()}
_MAX_BYTES = 16 * 1024
_MAX_TEXT = 2 * 1024


Explained = tuple[Signal, Taken]
"""A signal as it was decided on, and the decision about it."""


def explanations(decided: Sequence[Explained], version: str) -> bytes:
    """Decisions with their grounds, as a JSON array: each with the signal as it was decided on,
    what was done to it before, what put it where it went, the version of the policy, the trace.
    """
    documents = [explanation(signal, taken, version) for signal, taken in decided]
    encoded = orjson.dumps(documents)
    if len(encoded) <= _MAX_BYTES * len(documents):
        return encoded
    return orjson.dumps([_bounded(document) for document in documents])


def pack(explained: bytes) -> bytes:
    """As they are kept: the signals of a storm are alike, and a hundredth of them is left."""
    return zlib.compress(explained, 1)


def unpack(kept: bytes, place: int) -> dict[str, Any]:
    """One of them."""
    explained: dict[str, Any] = orjson.loads(zlib.decompress(kept))[place]
    return explained


def explanation(signal: Signal, taken: Taken, version: str) -> dict[str, Any]:
    """One of them, before it is JSON. What is empty or absent is left out."""
    reasons, group, data = signal.reasons, signal.group, signal.data
    kept: dict[str, Any] = {
        "policy": version,
        "kind": _KINDS[type(data)],
        "sent_at": signal.sent_at,
        "data": {name: value for name, value in vars(data).items() if value},
    }
    if signal.trace:
        kept["trace"] = signal.trace.traceparent
    if reasons.normalised:
        kept["normalised"] = reasons.normalised
    if reasons.redacted:
        kept["redacted"] = [[one.field, one.rule, one.times] for one in reasons.redacted]
    if reasons.classified:
        kept["classified"] = reasons.classified
    if taken.why:
        kept["grouped"] = taken.why
    if group:
        kept["group"] = [group.key, group.unlisted, group.all_resolved]
    return kept


def _bounded(document: dict[str, Any]) -> dict[str, Any]:
    if len(orjson.dumps(document)) <= _MAX_BYTES:
        return document
    return document | {"data": _shortened(document["data"]), "shortened": True}


def _shortened(data: dict[str, Any]) -> dict[str, Any]:
    shorter: dict[str, Any] = {}
    for name, value in data.items():
        if isinstance(value, dict):
            shorter[name] = bounded_texts(value, _MAX_TEXT)
        elif isinstance(value, list):
            shorter[name] = bounded_links(map(str, value), _MAX_TEXT)
        else:
            shorter[name] = shorten_bytes(value, _MAX_TEXT) if isinstance(value, str) else value
    return shorter
