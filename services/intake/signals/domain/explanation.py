"""What is kept of a decision, so that it can be explained and made again."""

from typing import Any

import orjson

from services.intake.signals.domain.bounds import bounded_links, bounded_texts, shorten_bytes
from services.intake.signals.domain.signal import Signal, Taken

_MAX_BYTES = 16 * 1024
_MAX_TEXT = 2 * 1024


def explanation(signal: Signal, taken: Taken, version: str) -> str:
    """A decision with its grounds, as JSON: the signal as it was decided on, what was done to it
    before, what put it where it went, the version of the policy, and the trace.
    """
    reasons, group = signal.reasons, signal.group
    kept: dict[str, Any] = {
        "policy": version,
        "trace": signal.trace.traceparent if signal.trace else None,
        "sent_at": signal.sent_at,
        "kind": type(signal.data).__name__.removesuffix("Data").lower(),
        "normalised": reasons.normalised,
        "redacted": [[one.field, one.rule, one.times] for one in reasons.redacted],
        "classified": reasons.classified,
        "grouped": taken.why,
        "group": [group.key, group.unlisted, group.all_resolved] if group else None,
    }
    kept = {name: value for name, value in kept.items() if value}
    kept["data"] = {name: value for name, value in vars(signal.data).items() if value}
    document = orjson.dumps(kept)
    if len(document) > _MAX_BYTES:
        document = orjson.dumps(kept | {"data": _shortened(kept["data"]), "shortened": True})
    return document.decode()


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
