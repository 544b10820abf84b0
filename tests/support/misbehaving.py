"""Receivers that misbehave: bare sockets that hang, send byte by byte, close early or send
garbage.
"""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

_LENGTH = re.compile(rb"content-length: *(\d+)", re.I)
_ID = re.compile(rb"webhook-id: *(\S+)", re.I)
_PAUSE_SECONDS = 0.05

Behaviour = Callable[[asyncio.StreamWriter], Awaitable[None]]
"""What a receiver does after it has read a request; the connection is closed when it returns."""


@dataclass
class Misbehaving:
    """A misbehaving webhook receiver. `keys` are the webhook ids that have arrived, `open` the
    number of open requests. If it does not read, it acts at once, as in protocols where the server
    speaks first.
    """

    behaviour: Behaviour
    reads: bool = True
    url: str = ""
    port: int = 0
    keys: list[str] = field(default_factory=list)
    open: int = 0
    most_open: int = 0

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Handle one connection."""
        with suppress(OSError, asyncio.IncompleteReadError):
            if self.reads:
                await self._read(reader)
            self.open += 1
            self.most_open = max(self.most_open, self.open)
            gone = asyncio.create_task(reader.read())
            doing = asyncio.ensure_future(self.behaviour(writer))
            try:
                await asyncio.wait({gone, doing}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                self.open -= 1
                for task in (gone, doing):
                    task.cancel()
                await asyncio.gather(gone, doing, return_exceptions=True)
        writer.transport.abort()

    async def _read(self, reader: asyncio.StreamReader) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length, key = _LENGTH.search(head), _ID.search(head)
        await reader.readexactly(int(length[1]) if length else 0)
        self.keys.append(key[1].decode() if key else "")


@asynccontextmanager
async def misbehaving(
    behaviour: Behaviour, tls: ssl.SSLContext | None = None, *, reads: bool = True
) -> AsyncIterator[Misbehaving]:
    """Listen on loopback inside the block."""
    receiver = Misbehaving(behaviour, reads)
    connections: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        connections.add(task)
        task.add_done_callback(connections.discard)
        with suppress(asyncio.CancelledError):  # cancelled only by the end of the block
            await receiver.take(reader, writer)

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
    receiver.port = server.sockets[0].getsockname()[1]
    receiver.url = f"{'https' if tls else 'http'}://127.0.0.1:{receiver.port}"
    try:
        yield receiver
    finally:
        server.close()
        for task in list(connections):
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)


async def hang(_: asyncio.StreamWriter) -> None:
    """Never answer."""
    await asyncio.Event().wait()


async def disconnect(_: asyncio.StreamWriter) -> None:
    """Close the connection at once."""


def says(*parts: bytes) -> Behaviour:
    """Write these bytes, then close."""

    async def say(writer: asyncio.StreamWriter) -> None:
        for part in parts:
            writer.write(part)
            await writer.drain()

    return say


def drips(text: bytes) -> Behaviour:
    """Write these bytes one at a time, so slowly that it never ends."""

    async def drip(writer: asyncio.StreamWriter) -> None:
        for byte in text:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(_PAUSE_SECONDS)
        await hang(writer)

    return drip


def then_drips(head: bytes) -> Behaviour:
    """Write the head at once, and an endless body one byte at a time."""

    async def say(writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(_PAUSE_SECONDS)

    return say


def floods(head: bytes, chunk: bytes) -> Behaviour:
    """Write the head, then the chunk for as long as the client reads."""

    async def say(writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        while True:
            writer.write(chunk)
            await writer.drain()

    return say
