"""The load counts what fails, and repeats only what HTTP/1.1 leaves open."""

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web

from deploy.kubernetes.rehearsal.load import Client, load
from tests.support.http import listening
from tests.support.running import eventually

Answer = Callable[[web.Request], Awaitable[web.Response]]


async def run(answer: Answer, enough: Callable[[Client], bool]) -> Client:
    app = web.Application()
    app.router.add_post("/", answer)
    async with listening(app) as address:
        client = Client("intake", "POST", address, {}, "trial")

        async def is_enough() -> bool:
            return enough(client)

        async with load([client]):
            await eventually("enough was sent", is_enough)
    return client


async def test_what_is_answered_is_sent_and_named_by_its_trial() -> None:
    seen = []

    async def answer(request: web.Request) -> web.Response:
        seen.append((await request.json())["id"])
        return web.Response(status=202)

    client = await run(answer, lambda client: len(client.sent) >= 4)

    assert client.failed == []
    assert client.sent[:4] == ["trial-0", "trial-1", "trial-2", "trial-3"]
    assert seen[:4] == client.sent[:4]


async def test_a_refusal_is_a_failure() -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=503, text="not now")

    client = await run(answer, lambda client: len(client.failed) >= 2)

    assert client.sent == []
    assert all(failed.endswith(" s 503 not now") for failed in client.failed)


async def test_a_kept_connection_that_is_closed_is_no_failure_and_a_new_one_is() -> None:
    on_connection: dict[object, int] = {}

    async def answer(request: web.Request) -> web.Response:
        count = on_connection[request.transport] = on_connection.get(request.transport, 0) + 1
        if count == 2:
            assert request.transport is not None
            request.transport.abort()
            await asyncio.sleep(0)
        return web.Response(status=202)

    client = await run(answer, lambda client: client.repeated >= 1)

    assert client.failed == []


async def test_a_new_connection_that_is_refused_is_a_failure() -> None:
    client = Client("intake", "GET", "http://127.0.0.1:9/", {})

    async def failed() -> bool:
        return bool(client.failed)

    async with load([client]):
        await eventually("it was refused", failed)

    assert client.sent == []
