"""The process that pages are sent to: it notes when each came, answers 200 at once, and tells when asked.

`GET /mark` is how many requests came; `GET /take` is all of them, as a JSON array of [monotonic seconds, body], and
forgets them.
"""

import asyncio
import sys
import time

import orjson
import uvloop

from tests.bench.http11 import Exchange


class Inbox:
    """What came, in order."""

    def __init__(self) -> None:
        self._received: list[tuple[float, bytes]] = []

    def take(self, path: bytes, body: bytes) -> bytes:
        """Answer a request."""
        if path == b"/mark":
            return b"%d" % len(self._received)
        if path == b"/take":
            taken, self._received = self._received, []
            return orjson.dumps([(at, text.decode()) for at, text in taken])
        self._received.append((time.monotonic(), body))
        return b""


async def serve(port: int) -> None:
    """Listen until the process is ended."""
    inbox = Inbox()
    server = await asyncio.get_running_loop().create_server(lambda: Exchange(inbox.take), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
