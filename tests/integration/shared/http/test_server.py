"""A server that ends hears everybody whom it has accepted, and leaves the others in the queue of
its socket.
"""

import asyncio
import socket
import sys
from collections.abc import AsyncIterator, Callable
from functools import partial

import pytest
import uvicorn
from fastapi import FastAPI
from fastapi.responses import StreamingResponse

from shared.http import server
from shared.http.server import Server, inherit, listen
from tests.support.running import eventually

REQUEST = b"GET / HTTP/1.1\r\nhost: tests\r\n\r\n"


def make_server() -> Server:
    app = FastAPI()

    @app.get("/")
    async def root() -> str:
        return "heard"

    return Server(uvicorn.Config(app, log_config=None, lifespan="off"))


async def seen(condition: Callable[[], bool]) -> bool:
    return condition()


async def test_who_has_connected_is_heard_and_who_connects_later_is_heard_by_the_successor() -> (
    None
):
    kept = listen("127.0.0.1", 0)
    address = kept.getsockname()
    old, new = make_server(), make_server()
    ending = asyncio.create_task(old.serve([inherit(kept.dup().detach())]))
    early_reader, early = await asyncio.open_connection(*address)
    await eventually("it is accepted", partial(seen, lambda: bool(old.server_state.connections)))

    old.should_exit = True
    await eventually(
        "nobody else is accepted", partial(seen, lambda: not old.servers[0].is_serving())
    )
    late_reader, late = await asyncio.open_connection(*address)
    late.write(REQUEST)
    early.write(REQUEST)

    assert b"heard" in await early_reader.read()
    await ending
    serving = asyncio.create_task(new.serve([inherit(kept.dup().detach())]))
    assert b"heard" in await late_reader.readuntil(b'"heard"')
    new.should_exit = True
    await serving
    for open_one in (early, late, kept):
        open_one.close()


@pytest.mark.skipif(sys.platform != "linux", reason="TCP_USER_TIMEOUT is an option of Linux")
async def test_who_reads_nothing_of_an_answer_is_disconnected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server, "_UNREAD_MS", 500)
    app = FastAPI()

    @app.get("/")
    async def flood() -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            while True:
                yield b"x" * 65536
                await asyncio.sleep(0)

        return StreamingResponse(parts())

    listening = listen("127.0.0.1", 0)
    serving = Server(uvicorn.Config(app, log_config=None, lifespan="off"))
    task = asyncio.create_task(serving.serve([listening]))
    with socket.create_connection(listening.getsockname()) as deaf:
        deaf.sendall(REQUEST)
        connections = serving.server_state.connections
        await eventually("it is accepted", partial(seen, lambda: bool(connections)))
        await eventually("it is given up", partial(seen, lambda: not connections))
    serving.should_exit = True
    await task
