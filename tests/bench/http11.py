"""HTTP/1.1 at the lowest cost: generator and receiver share the cores with what they measure."""

import asyncio
from collections.abc import Callable, Mapping
from typing import cast

import httptools

_OK = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b"


class Connection(asyncio.Protocol):
    """A client's connection that stays open and has one request at a time."""

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None
        self._body = b""

    async def post(self, head: bytes, body: bytes) -> tuple[int, bytes]:
        """Send a request; returns status and body. ConnectionError when the server hangs up."""
        if self._transport is None or self._transport.is_closing():
            raise ConnectionResetError
        self._answer, self._body = asyncio.get_running_loop().create_future(), b""
        self._transport.write(head + b"content-length: %d\r\n\r\n" % len(body) + body)
        return await self._answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's has no base class

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer and not self._answer.done():
            self._answer.set_exception(exc or ConnectionResetError())

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        if self._answer and not self._answer.done():
            self._answer.set_result((self._parser.get_status_code(), self._body))


def request_head(host: str, path: str, headers: Mapping[str, str]) -> bytes:
    """A POST without its length and its body."""
    fields = {"host": host, **headers}
    lines = [f"POST {path} HTTP/1.1", *(f"{name}: {text}" for name, text in fields.items())]
    return "".join(f"{line}\r\n" for line in lines).encode()


class Exchange(asyncio.Protocol):
    """A server's connection. It answers 200 with the body that `take(path, body)` returns."""

    def __init__(self, take: Callable[[bytes, bytes], bytes]) -> None:
        self._take = take
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._path = self._body = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's has no base class

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self._path, self._body = url, b""

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        answer = self._take(self._path, self._body)
        assert self._transport is not None
        self._transport.write(_OK % (len(answer), answer))
