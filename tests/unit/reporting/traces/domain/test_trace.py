"""A trace as a backend answers it."""

import json

import pytest

from services.reporting.traces.domain.trace import InvalidTrace, Span, read_trace
from services.reporting.traces.domain.waterfall import draw


def answer(**changes: object) -> str:
    span = {
        "traceID": "4" * 32,
        "spanID": "a",
        "operationName": "x",
        "startTime": 5,
        "duration": 6,
        "processID": "p1",
    }
    trace = {"spans": [span | changes], "processes": {"p1": {"serviceName": "tocsin-intake"}}}
    return json.dumps({"data": [trace]})


def test_a_trace_is_read() -> None:
    references = [
        {"refType": "FOLLOWS_FROM", "traceID": "5" * 32, "spanID": "c"},
        {"refType": "CHILD_OF", "traceID": "4" * 32, "spanID": "b"},
    ]
    tags = [
        {"key": "error", "type": "bool", "value": True},
        {"key": "n", "type": "int64", "value": 7},
    ]
    assert read_trace(answer(references=references, tags=tags)) == [
        Span("a", "b", "tocsin-intake", "x", 5, 6, True, {"error": "true", "n": "7"}, ["5" * 32])
    ]


def test_what_was_stored_twice_is_read_once() -> None:
    document = json.loads(answer())
    document["data"][0]["spans"] *= 2
    assert len(read_trace(json.dumps(document))) == 1


def test_clocks_of_others_may_say_anything() -> None:
    (lost,) = read_trace(answer(startTime=-5, duration=2**64, processID="no such"))
    assert (lost.start, lost.service) == (0, "unknown")
    assert draw([lost]).length == lost.length


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff",
        b"[" * 100_000,
        b'{"data": "x"}',
        b'{"data": [{"spans": [{}]}]}',
        b"<!doctype html>",
    ],
)
def test_what_is_no_trace_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidTrace):
        read_trace(body)


def test_an_unknown_trace_has_no_spans() -> None:
    assert (
        read_trace(b'{"data": null, "errors": [{"code": 404}]}')
        == read_trace(b'{"data": []}')
        == []
    )
