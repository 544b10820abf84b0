"""The process that pages are sent to. It notes when each arrived and answers 200 at once.

`GET /mark` returns the number of requests; `GET /take` returns all of them, as a JSON array of
[monotonic seconds, body], and forgets them.
"""

import asyncio
import sys
import time

import orjson
import uvloop

from tests.bench.http11 import Exchange


class Received:
    """The requests in the order of their arrival."""

    def __init__(self) -> None:
        self._all: list[tuple[float, bytes]] = []

    def note(self, body: bytes) -> None:
        """Note that a request arrived now."""
        self._all.append((time.monotonic(), body))

    def answer(self, path: bytes, body: bytes) -> bytes:
        """Answer a request."""
        if path == b"/mark":
            return b"%d" % len(self._all)
        if path == b"/take":
            taken, self._all = self._all, []
            return orjson.dumps([(at, text.decode()) for at, text in taken])
        self.note(body)
        return b""


async def serve(port: int, received: Received) -> None:
    """Listen until the process is ended."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Exchange(received.answer), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), Received()))
