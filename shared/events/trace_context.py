"""W3C Trace Context (https://www.w3.org/TR/trace-context/) as plain values that rows and messages
carry.
"""

import re
import secrets
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from shared.events.headers import Headers, normalised

# Later versions may add fields behind these, and are read as version 00; ff is no version.
_TRACEPARENT = re.compile(
    r"(?P<version>(?!ff)[0-9a-f]{2})"
    r"-(?P<ids>(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16})"
    r"-(?P<flags>[0-9a-f]{2})(?P<later>-.*)?"
)
_TRACESTATE = re.compile(r"[\x20-\x7e]{1,512}")
_SAMPLED = 0x01


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
    """The context, or None when `traceparent` is absent or malformed: an error costs nothing but
    the trace.
    """
    found = _TRACEPARENT.fullmatch(traceparent) if traceparent else None
    if not found:
        return None
    flags = found["flags"]
    if found["version"] != "00":
        flags = f"{int(flags, 16) & _SAMPLED:02x}"  # the others may mean something else there
    elif found["later"]:
        return None
    known_state = tracestate if tracestate and _TRACESTATE.fullmatch(tracestate) else None
    return TraceContext(f"00-{found['ids']}-{flags}", known_state)


def trace_in(carrier: Mapping[str, str]) -> TraceContext | None:
    """The context that extensions, or headers that cannot repeat, carry by lower-case name."""
    return parse_trace(carrier.get("traceparent"), carrier.get("tracestate"))


def trace_in_headers(headers: Headers) -> TraceContext | None:
    """The context that the headers of a request or of a Kafka record carry.

    Several `tracestate` headers are one list, in their order. Several `traceparent` headers
    contradict each other: None.
    """
    parents: list[str] = []
    states: list[str] = []
    for name, value in normalised(headers):
        if name == "traceparent":
            parents.append(value.decode("latin-1"))
        elif name == "tracestate" and value:
            states.append(value.decode("latin-1"))
    return parse_trace(parents[0], ",".join(states)) if len(parents) == 1 else None


def new_trace() -> TraceContext:
    """The root of a new, sampled trace."""
    return TraceContext(f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01")
