"""Invalid and hostile HTTP requests to intake get an error that says how to fix them; other senders
are served.
"""

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import aiohttp
import orjson
import pytest

from services.intake.app import make_api
from services.intake.gateways.http import Services
from services.intake.handlers import Handlers
from services.intake.incidents.known_alerts import KnownAlerts
from services.intake.incidents.policy import IntakePolicy
from services.intake.integrations.key_ring import KeyRing
from services.intake.integrations.store import create_key
from services.intake.signals.group_commit import GroupCommit
from shared.http import bodies as http
from shared.http import protocol as http_protocol
from shared.postgres.database import Database
from shared.runtime.clock import system_clock
from tests.support.http import served
from tests.support.running import alert
from tests.support.stack import runtime_dsn

DEEP = b"[" * 10_000 + b"]" * 10_000
LARGE = 5 * 1024 * 1024
STRUCTURED, BATCH, JSON = (
    "application/cloudevents+json",
    "application/cloudevents-batch+json",
    "application/json",
)
SIGNALS, ALERTMANAGER = "/v1/signals", "/v1/alertmanager"


@dataclass
class Gateway:
    """Intake's HTTP side, with a key for it."""

    port: int
    key: str
    http: aiohttp.ClientSession

    async def works(self, name: str) -> None:
        """A valid signal is accepted now."""
        async with asyncio.timeout(10):
            status, _, answer = await self.post(
                SIGNALS, orjson.dumps(alert(name)), **{"Content-Type": STRUCTURED}
            )
        assert (status, answer["accepted"]) == (202, 1)

    async def post(
        self, path: str, body: object, **headers: str
    ) -> tuple[int, str, dict[str, object]]:
        """Status, content type and body of the response."""
        url = f"http://127.0.0.1:{self.port}{path}"
        async with self.http.post(
            url, data=body, headers={"Authorization": f"Bearer {self.key}"} | headers
        ) as answer:
            return answer.status, answer.content_type, orjson.loads(await answer.read())

    @asynccontextmanager
    async def raw(self, *pieces: bytes) -> AsyncIterator[asyncio.StreamReader]:
        """A connection on which these bytes are sent."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            with suppress(OSError):
                for piece in pieces:
                    writer.write(piece)
                    await writer.drain()
            yield reader
        finally:
            writer.close()

    def head(self, *lines: str) -> bytes:
        """The start of a request's head."""
        start = (
            f"POST {SIGNALS} HTTP/1.1",
            "Host: x",
            f"Authorization: Bearer {self.key}",
            f"Content-Type: {STRUCTURED}",
        )
        return "\r\n".join([*start, *lines, ""]).encode()


@pytest.fixture
async def gateway(database: str) -> AsyncIterator[Gateway]:
    own = Database(runtime_dsn(database, "intake"))
    async with own.transaction() as connection:
        key = await create_key(connection, "tests", None, system_clock())
    handlers = Handlers(IntakePolicy, system_clock)
    commit = GroupCommit(own, handlers.take_new, handlers.take)
    task = asyncio.create_task(commit.run())
    lookup = KnownAlerts(own).find
    services = Services(KeyRing(own, system_clock), commit.submit, lookup, system_clock)
    async with served(make_api(services)) as base, aiohttp.ClientSession() as session:
        yield Gateway(int(base.rpartition(":")[2]), key, session)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    await own.close()


GOOD = orjson.dumps(alert("1"))
REFUSED: dict[str, tuple[str, bytes, dict[str, str], int, str]] = {
    "five megabytes": (SIGNALS, b"x" * LARGE, {"Content-Type": STRUCTURED}, 413, "body"),
    "an event of five megabytes in a batch": (
        SIGNALS,
        orjson.dumps([alert("1", summary="x" * LARGE)]),
        {"Content-Type": BATCH},
        400,
        "[0]",
    ),
    "a batch of nine megabytes": (
        SIGNALS,
        b"x" * 9 * 1024 * 1024,
        {"Content-Type": BATCH},
        413,
        "body",
    ),
    "nested deeply": (SIGNALS, DEEP, {"Content-Type": STRUCTURED}, 400, "body"),
    "a batch nested deeply": (SIGNALS, DEEP, {"Content-Type": BATCH}, 400, "body"),
    "Alertmanager nested deeply": (ALERTMANAGER, DEEP, {"Content-Type": JSON}, 400, "body"),
    "not UTF-8": (
        SIGNALS,
        GOOD.replace(b"disk", b"\xff"),
        {"Content-Type": STRUCTURED},
        400,
        "body",
    ),
    "UTF-16": (SIGNALS, GOOD.decode().encode("utf-16"), {"Content-Type": STRUCTURED}, 400, "body"),
    "Alertmanager not UTF-8": (ALERTMANAGER, b'{"a": "\xff"}', {"Content-Type": JSON}, 400, "body"),
    "nothing": (SIGNALS, b"", {"Content-Type": STRUCTURED}, 400, "body"),
    "an empty batch": (SIGNALS, b"[]", {"Content-Type": BATCH}, 400, "body"),
    "a form": (
        SIGNALS,
        b"a=b",
        {"Content-Type": "application/x-www-form-urlencoded"},
        415,
        "Content-Type",
    ),
    "text": (SIGNALS, GOOD, {"Content-Type": "text/plain"}, 415, "Content-Type"),
    "a bomb": (
        SIGNALS,
        gzip.compress(b"\0" * 50_000_000),
        {"Content-Type": STRUCTURED, "Content-Encoding": "gzip"},
        413,
        "body",
    ),
    "a bomb for Alertmanager": (
        ALERTMANAGER,
        zlib.compress(b" " * 50_000_000),
        {"Content-Encoding": "Deflate"},
        413,
        "body",
    ),
    "encoded twice": (
        ALERTMANAGER,
        b"x",
        {"Content-Encoding": "deflate, gzip"},
        415,
        "Content-Encoding",
    ),
    "not gzip": (
        SIGNALS,
        GOOD,
        {"Content-Type": STRUCTURED, "Content-Encoding": "gzip"},
        400,
        "body",
    ),
    "NUL in an attribute": (
        SIGNALS,
        b"{}",
        {"ce-specversion": "1.0", "ce-id": "%00", "ce-source": "/x", "ce-type": "t"},
        400,
        "id",
    ),
    "an old specversion": (SIGNALS, b"{}", {"ce-specversion": "0.3"}, 400, "specversion"),
}


async def test_every_invalid_body_gets_a_problem_with_its_field_while_valid_ones_are_accepted(
    gateway: Gateway,
) -> None:
    for number, (name, (path, body, headers, status, field)) in enumerate(REFUSED.items()):
        (got, kind, answer), _ = await asyncio.gather(
            gateway.post(path, body, **{"Content-Type": JSON} | headers), gateway.works(str(number))
        )
        assert (got, kind, answer.get("field")) == (status, "application/problem+json", field), (
            name,
            answer,
        )
        assert len(str(answer["detail"])) > len(field) + 5, name


async def test_a_body_of_unknown_length_is_refused_at_the_limit(gateway: Gateway) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 65536
            yield b"x" * 65536

    with suppress(aiohttp.ClientError):
        status, _, _ = await gateway.post(SIGNALS, endless(), **{"Content-Type": STRUCTURED})
        assert status == 413
    assert sent < 64 * 1024 * 1024
    await gateway.works("after")


@pytest.mark.parametrize(
    ("pieces", "status"),
    [
        ([b"X-Many: x\r\n"] * 200_000, 431),
        ([b"X-Long: ", *[b"x" * 65536] * 200], 431),
        ([b"X bad\r\n\r\n"], 400),
        ([b"Content-Length: -1\r\n\r\n"], 400),
        ([b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"], 400),
        ([b"Content-Length: 9\r\nContent-Length: 8\r\n\r\n"], 400),
        ([b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"], 400),
    ],
    ids=[
        "very many headers",
        "an endless header",
        "no header",
        "a negative length",
        "two framings",
        "two lengths",
        "bad chunks",
    ],
)
async def test_invalid_headers_get_a_problem_and_end_the_connection(
    gateway: Gateway, pieces: list[bytes], status: int
) -> None:
    async with gateway.raw(gateway.head(), *pieces) as reader:
        async with asyncio.timeout(20):
            with suppress(ConnectionError):  # the server does not read the rest
                answer = await reader.read()
                assert answer.startswith(b"HTTP/1.1 %d " % status), answer[:200]
                assert b"application/problem+json" in answer
    await gateway.works("after")


async def test_slow_requests_time_out_and_delay_nobody(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_protocol, "HEAD_SECONDS", 2.0)
    monkeypatch.setattr(http, "BODY_SECONDS", 2.0)

    async def slow(*pieces: bytes) -> bytes:
        async with asyncio.timeout(30), gateway.raw(*pieces) as reader:
            return await reader.readuntil(b"}")

    kinds = [(), (gateway.head(),), (gateway.head("Content-Length: 100", "") + b"{",)]
    waiting = [asyncio.create_task(slow(*kind)) for kind in kinds * 50]
    for number in range(20):
        await gateway.works(str(number))
    for answer in await asyncio.gather(*waiting):
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"application/problem+json" in answer
        assert b"within 2 seconds" in answer
