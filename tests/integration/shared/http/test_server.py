"""A server that ends hears everybody whom it has accepted, and leaves the others in the queue of
its socket.
"""

import asyncio
from collections.abc import Callable
from functools import partial

import uvicorn
from fastapi import FastAPI

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
