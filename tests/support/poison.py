"""Messages of every kind that no service can take for an event, and strange ones that it has to
take.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from tests.support.running import alert

DEEP = 10_000
LARGE = 5 * 1024 * 1024
Headers = Sequence[tuple[str, bytes | None]]


@dataclass(frozen=True)
class Message:
    """What is sent, and why."""

    name: str
    value: bytes | None
    key: bytes | None = b"poison"
    headers: Headers = ()


def changed(name: str, **change: Any) -> Message:
    """An event with something wrong in it."""
    return Message(name, orjson.dumps(alert(name) | change))


def text(name: str, old: str, new: str) -> Message:
    """An event in which a part of its JSON text was replaced, by what no encoder would write."""
    return Message(name, orjson.dumps(alert(name)).decode().replace(old, new).encode())


def binary(name: str, **attributes: bytes) -> Message:
    """An event in binary mode."""
    good = {
        "specversion": b"1.0",
        "id": name.encode(),
        "source": b"/probe",
        "type": b"tocsin.signals.Alert",
    }
    headers = [(f"ce_{key}", value) for key, value in (good | attributes).items()]
    return Message(
        name,
        orjson.dumps(alert(name)["data"]),
        headers=[*headers, ("content-type", b"application/json")],
    )


def poison() -> Iterator[Message]:
    """What no service can take for an event, whatever the topic."""
    yield Message("nothing", None)
    yield Message("no bytes", b"")
    yield Message("one bracket", b"{")
    yield Message("not JSON", b"<alert/>")
    yield Message("not UTF-8", orjson.dumps(alert("x")).replace(b"disk full", b"\xff\xfe"))
    yield Message("UTF-16", orjson.dumps(alert("x")).decode().encode("utf-16"))
    yield Message("only NUL", b"\0" * 1000)
    yield Message("two documents", orjson.dumps(alert("x")) * 2)
    yield from (
        Message(f"the JSON value {value!r}", value)
        for value in (b"1", b"null", b'"x"', b"[]", b"{}", b"true")
    )
    yield Message("nested deeply", b"[" * DEEP + b"]" * DEEP)
    yield text("its data nested deeply", '"disk full"', "[" * DEEP + "]" * DEEP)
    yield text("objects nested deeply", '"disk full"', '{"a":' * DEEP + "1" + "}" * DEEP)
    yield text("NaN", '"disk full"', "NaN")
    yield text("infinity", '"disk full"', "-Infinity")
    yield text("a number that no float holds", '"disk full"', "1" * 400)
    yield Message("as large as Kafka takes", b'{"x": "' + b"x" * 1_000_000 + b'"}')
    yield changed("an old specversion", specversion="0.3")
    yield changed("a specversion that is a number", specversion=1.0)
    for field in ("id", "source", "type"):
        yield changed(f"{field} is null", **{field: None})
        yield changed(f"{field} is empty", **{field: ""})
        yield changed(f"{field} is a list", **{field: ["x"]})
        yield changed(f"{field} without end", **{field: "x" * 100_000})
        yield changed(f"NUL in {field}", **{field: "a\0b"})
    yield changed("data in base64", data_base64="AAAA")
    yield binary("an old ce_specversion", specversion=b"0.3")
    yield binary("an empty ce_id", id=b"")
    yield binary("NUL in ce_source", source=b"a\0b")
    yield Message("ce_specversion alone", b"{}", headers=[("ce_specversion", b"1.0")])
    yield Message("ce_ headers of null", b"{}", headers=[("ce_specversion", None), ("ce_id", None)])
    yield Message(
        "headers that are no text",
        b"{",
        headers=[("h", b"\xff\xfe\0"), ("traceparent", b"\xff"), ("", b"")],
    )
    yield Message("very many headers", b"{", headers=[("h", b"x")] * 10_000)
    yield Message("huge headers", b"{", headers=[("h", b"x" * 400_000), ("h", b"x" * 400_000)])
    yield Message("a key that is no text", b"{", key=b"\xff\xfe\0")
    yield Message("no key", b"{", key=None)
    yield Message("an empty key", b"{", key=b"")
    yield Message("a huge key", b"{", key=b"x" * 500_000)


def odd() -> Iterator[Message]:
    """Signals that are strange, and to be taken all the same: somebody may be in trouble."""
    for year in ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"):
        yield changed(f"time {year}", time=year)
        yield changed(
            f"starts and ends {year}",
            data=alert("x")["data"] | {"starts_at": year, "ends_at": year},
        )
    yield text("a lone surrogate", "disk full", "\\ud800")
    yield changed("time is no time", time="yesterday")
    yield changed("time before the calendar", time="0001-01-01T00:00:00+14:00")
    yield changed("time after the calendar", time="9999-12-31T23:59:59-14:00")
    yield changed("a time without zone", time="2026-03-03T10:00:00")
    yield changed("a trace that is none", traceparent="00-nonsense", tracestate="\x7f" * 1000)
    yield changed("extensions of other types", priority=7, urgent=True)
    yield changed("a severity that is a number", data=alert("x")["data"] | {"severity": 10**18})
    yield changed(
        "fields that nobody knows", data=alert("x")["data"] | {"x": {"y": [1, None, "\0"]}}
    )
    yield changed(
        "every character",
        data=alert("x")["data"] | {"summary": "\u202e\ufeff\U0001f525\x01\x1b[31m'\";--"},
    )
    yield changed(
        "many labels",
        data=alert("x")["data"] | {"labels": {f"l{n}": "v" * 1000 for n in range(128)}},
    )
    good = orjson.dumps(alert("headers that are no text, good value"))
    yield Message(
        "headers that are no text, good value",
        good,
        headers=[("h", b"\xff\0"), ("traceparent", b"\xff")],
    )
    good = orjson.dumps(alert("huge headers, good value"))
    yield Message("huge headers, good value", good, headers=[("h", b"x" * 300_000)])
    yield Message("no key, good value", orjson.dumps(alert("no key, good value")), None)
    yield binary("binary mode")
