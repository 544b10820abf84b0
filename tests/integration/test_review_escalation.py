"""A page that was accepted is not sent again, whatever the receiver does after it has said so."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from uuid import UUID

import pytest
from aiosmtpd.smtp import SMTP

from services.escalation.channels import MailChannel, WebhookChannel
from services.escalation.outcome import NotDelivered
from services.escalation.pages import Notice
from tests.support.escalating import LOOPBACK, Mailbox
from tests.support.running import SECRET

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
NOTICE = Notice(
    attempt_key="key",
    incident_id=UUID(int=1),
    number=1042,
    summary="disk full",
    service="checkout",
    priority="P1",
    team="payments",
    runbook=None,
    user="ana",
    step=1,
    round=1,
    why=("step 1",),
    acknowledge_url="http://links/a/1",
    resolve_url="http://links/a/2",
    console_url="http://console",
    trace_id=None,
    at=NOON,
)


@asynccontextmanager
async def answering(answer: bytes, *, hang: bool) -> AsyncIterator[str]:
    """A receiver that reads a request's head, answers these bytes, then breaks off or says nothing more."""
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
    channel = WebhookChannel(SECRET, LOOPBACK, 0.5, lambda: NOON)
    try:
        async with answering(answer, hang=hang) as url:
            await channel.send(NOTICE, url, None)
    finally:
        await channel.close()


@pytest.mark.parametrize("hang", [False, True], ids=["breaks off", "says nothing more"])
async def test_a_2xx_is_delivered_though_its_body_never_comes(hang: bool) -> None:
    await page(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", hang=hang)


async def test_a_refusal_stays_one_though_its_body_never_comes() -> None:
    with pytest.raises(NotDelivered) as failed:
        await page(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 10\r\n\r\n", hang=False)
    assert (failed.value.failure.error, failed.value.failure.final) == ("HTTP 400", True)


async def test_a_mail_that_the_server_took_is_delivered_though_the_farewell_hangs() -> None:
    class Hanging(SMTP):
        async def smtp_QUIT(self, arg: str) -> None:
            await asyncio.sleep(3600)

    box = Mailbox()
    server = await asyncio.get_running_loop().create_server(lambda: Hanging(box), "127.0.0.1", 0)
    async with server:
        address = f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        await MailChannel(address, "tocsin@example.com", 1).send(NOTICE, "ana@example.com", None)
    assert len(box.mails) == 1
