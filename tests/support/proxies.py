"""A TCP proxy whose connections can die silently: they stay open, take everything and forward
nothing.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit


@dataclass
class Proxy:
    """Listens on `port`. `forwards` is whether new connections work."""

    port: int = 0
    forwards: bool = True
    _dead: set[object] = field(default_factory=set)
    _live: set[object] = field(default_factory=set)

    def silence(self) -> int:
        """Let all connections die silently; returns how many there were."""
        count = len(self._live)
        self._dead |= self._live
        self._live.clear()
        return count

    async def serve(
        self, socket: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Handle one connection."""
        connection = object()
        (self._live if self.forwards else self._dead).add(connection)
        inner, outer = await asyncio.open_unix_connection(socket)
        try:
            await asyncio.gather(
                self._pump(connection, reader, outer), self._pump(connection, inner, writer)
            )
        except ConnectionError:
            pass
        finally:
            self._live.discard(connection)
            outer.close()
            writer.close()

    async def _pump(
        self, connection: object, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while data := await reader.read(65536):
            if connection not in self._dead:
                writer.write(data)
                await writer.drain()
        if connection not in self._dead:
            writer.close()


@asynccontextmanager
async def proxy(dsn: str) -> AsyncIterator[tuple[Proxy, str]]:
    """A proxy in front of a server on a Unix socket, and the DSN that goes through it."""
    parts = urlsplit(dsn)
    options = parse_qs(parts.query)
    socket = f"{options['host'][0]}/.s.PGSQL.{options['port'][0]}"
    made = Proxy()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await made.serve(socket, reader, writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    through = parts._replace(netloc=f"{parts.username}@127.0.0.1:{made.port}", query="")
    try:
        yield made, through._replace(query="sslmode=disable").geturl()
    finally:
        server.close()
