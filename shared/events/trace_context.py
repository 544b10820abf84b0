"""W3C Trace Context (https://www.w3.org/TR/trace-context/) as plain values that rows and messages
carry.
"""

import re
import secrets
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_TRACESTATE = re.compile(r"[\x20-\x7e]{1,512}")


class TraceContext(NamedTuple):
    """A position in a trace: `traceparent` and, when there is one, `tracestate`."""

    traceparent: str
    tracestate: str | None = None

    @property
    def trace_id(self) -> str:
        """32 hexadecimal digits."""
        return self.traceparent[3:35]


@lru_cache(maxsize=1024)  # a message has it twice, as header and as extension
def parse_trace(traceparent: str | None, tracestate: str | None = None) -> TraceContext | None:
    """The context, or None when `traceparent` is absent or malformed: a slip costs nothing but the
    trace.
    """
    if not traceparent or not _TRACEPARENT.fullmatch(traceparent) or traceparent.startswith("ff"):
        return None
    return TraceContext(
        traceparent, tracestate if tracestate and _TRACESTATE.fullmatch(tracestate) else None
    )


def trace_in(carrier: Mapping[str, str]) -> TraceContext | None:
    """The context that headers or extensions carry, by lower-case name."""
    return parse_trace(carrier.get("traceparent"), carrier.get("tracestate"))


def new_trace() -> TraceContext:
    """The root of a new, sampled trace."""
    return TraceContext(f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01")
