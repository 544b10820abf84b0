"""HTTPS in front of an HTTP server of a test, for clients that take nothing else."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from tests.support.certificates import Certificate


@asynccontextmanager
async def encrypted(url: str, certificate: Certificate) -> AsyncIterator[str]:
    """The URL under which a server on loopback is reached through TLS inside the block."""
    port = urlsplit(url).port

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner, outer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(_pump(reader, outer), _pump(inner, writer), return_exceptions=True)

    context = certificate.server_context()
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()
