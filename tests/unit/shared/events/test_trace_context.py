"""W3C Trace Context as callers send it: an error costs the trace, and nothing else."""

import pytest

from shared.events.headers import header_values, normalised
from shared.events.trace_context import TraceContext, parse_trace, trace_in_headers

IDS = "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7"
PARENT = f"00-{IDS}-01"


def trace_of(*headers: tuple[str, str]) -> TraceContext | None:
    pairs = [(name, value.encode("latin-1")) for name, value in headers]
    in_bytes = [(name.encode(), value) for name, value in pairs]
    found = trace_in_headers(pairs)
    assert trace_in_headers(in_bytes) == found
    return found


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        (PARENT, PARENT),
        (f"00-{IDS}-ff", f"00-{IDS}-ff"),
        (f"cc-{IDS}-01", PARENT),
        (f"cc-{IDS}-01-what-comes-next", PARENT),
        (f"cc-{IDS}-01-", PARENT),
        (f"01-{IDS}-fe-x", f"00-{IDS}-00"),
    ],
)
def test_a_later_version_is_read_as_version_00(sent: str, read: str) -> None:
    assert parse_trace(sent) == TraceContext(read)


@pytest.mark.parametrize(
    "sent",
    [
        *("", "00", PARENT.upper(), f"ff-{IDS}-01", f"ff-{IDS}-01-x", f"cc-{IDS}-01.x"),
        *(f"{PARENT}-what-comes-next", f"{PARENT}x", f"cc-{IDS}-0", f"cc-{IDS}", f"0x-{IDS}-01"),
        *(f"00-{'0' * 32}-{'1' * 16}-01", f"00-{'1' * 32}-{'0' * 16}-01", f" {PARENT}", "x" * 9999),
        *(f"{PARENT}\n", f"cc-{IDS}-01-\n"),
    ],
)
def test_anything_else_is_no_trace(sent: str) -> None:
    assert parse_trace(sent) is None


def test_several_tracestates_are_one_list_in_their_order() -> None:
    trace = trace_of(
        ("tracestate", "a=1"),
        ("Traceparent", PARENT),
        ("TraceState", " b=2,c=3\t"),
        ("tracestate", ""),
    )
    assert trace == TraceContext(PARENT, "a=1,b=2,c=3")


def test_two_traceparents_contradict_each_other() -> None:
    assert trace_of(("traceparent", PARENT), ("traceparent", PARENT.replace("4bf", "4bc"))) is None


def test_white_space_around_it_is_not_part_of_it() -> None:
    assert trace_of(("traceparent", f"\t {PARENT}  ")) == TraceContext(PARENT)


@pytest.mark.parametrize("state", ["a=\xe9", "x" * 513, "a\x01"])
def test_a_tracestate_that_cannot_be_handed_on_costs_itself(state: str) -> None:
    assert trace_of(("traceparent", PARENT), ("tracestate", state)) == TraceContext(PARENT)


def test_headers_repeat() -> None:
    headers = [(b"Via", b" a "), (b"x", b""), (b"via", b"b")]
    assert header_values(headers, "via") == [b"a", b"b"]
    assert list(normalised([("X", b"1")])) == [("x", b"1")]
