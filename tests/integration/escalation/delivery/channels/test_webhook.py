"""A webhook that was accepted is not sent again, whatever the receiver does afterwards."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from services.escalation.delivery.channels.webhook import WebhookTransport
from services.escalation.delivery.domain.failure import NotDelivered
from tests.support.escalating import LOOPBACK
from tests.support.running import SECRET
from tests.unit.escalation.delivery.notices import NOON, notice


@asynccontextmanager
async def answering(answer: bytes, *, hang: bool) -> AsyncIterator[str]:
    """A receiver that reads a request's head, answers these bytes, then breaks off or says nothing
    more.
    """
    done = asyncio.Event()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        if hang:
            await done.wait()
        writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    finally:
        done.set()
        server.close()


async def page(answer: bytes, *, hang: bool) -> None:
    channel = WebhookTransport(SECRET, LOOPBACK, 0.5, lambda: NOON)
    try:
        async with answering(answer, hang=hang) as url:
            await channel.send(notice(), url, None)
    finally:
        await channel.close()


@pytest.mark.parametrize("hang", [False, True], ids=["breaks off", "says nothing more"])
async def test_a_2xx_is_delivered_though_its_body_never_comes(hang: bool) -> None:
    await page(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", hang=hang)


async def test_a_refusal_stays_one_though_its_body_never_comes() -> None:
    with pytest.raises(NotDelivered) as failed:
        await page(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 10\r\n\r\n", hang=False)
    assert (failed.value.failure.error, failed.value.failure.final) == ("HTTP 400", True)
