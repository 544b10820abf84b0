"""A page that was accepted is not sent again, whatever the receiver does after it has said so."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from uuid import UUID

import aiohttp
import pytest
from aiosmtpd.smtp import SMTP

from services.escalation.delivery.channels.both import MailChannel, WebhookChannel
from services.escalation.delivery.domain.outcome import NotDelivered
from services.escalation.delivery.domain.pages import Notice
from services.escalation.response import http as api
from shared.http import bodies as http
from shared.http.app import create_app
from shared.postgres.database import Database
from tests.support.escalating import LOOPBACK, Mailbox, receiver, sending, world
from tests.support.http import served
from tests.support.running import SECRET
from tests.support.stack import runtime_dsn

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


async def test_a_password_never_goes_out_in_clear() -> None:
    heard: list[bytes] = []

    class Listening(SMTP):
        async def smtp_AUTH(self, arg: str) -> None:
            heard.append(arg.encode())
            await self.push("235 welcome")

    box = Mailbox()
    make = partial(Listening, box, auth_required=False, auth_require_tls=False)
    server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", 0)
    async with server:
        address = f"smtp://pager:hunter2@127.0.0.1:{server.sockets[0].getsockname()[1]}"
        with pytest.raises(NotDelivered) as failed:
            await MailChannel(address, "tocsin@example.com", 1).send(
                NOTICE, "ana@example.com", None
            )
    assert (heard, box.mails) == ([], [])
    assert failed.value.failure.final


@pytest.mark.parametrize(
    "body",
    [rb'{"by": "a\u0000"}', b'{"by": "a", "note": "\\u0000"}', b"[" * 5000],
)
async def test_hostile_orders_are_refused_in_words(database: str, body: bytes) -> None:
    own = Database(runtime_dsn(database, "escalation"))
    app = create_app("escalation")
    app.include_router(api.make_router(own, lambda: NOON, "token"))
    headers = {"Authorization": "Bearer token", "Content-Type": "application/json"}
    async with (
        served(app) as base,
        aiohttp.ClientSession(headers=headers) as http,
        http.post(f"{base}/v1/incidents/INC-1/acknowledge", data=body) as answer,
    ):
        assert answer.status in (400, 422), await answer.text()
    await own.close()


async def test_a_body_without_end_is_refused_before_it_is_kept(database: str) -> None:
    own = Database(runtime_dsn(database, "escalation"))
    app = create_app("escalation")
    app.include_router(api.make_router(own, lambda: NOON, "token"))

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(64):
            yield bytes(1 << 20)

    async with (
        served(app) as base,
        aiohttp.ClientSession(headers={"Content-Type": "application/json"}) as http,
    ):
        # Without a token: the framework reads bodies before it asks for one.
        with suppress(aiohttp.ClientOSError):  # the server closes while we still send
            async with http.post(f"{base}/v1/incidents/INC-1/resolve", data=endless()) as answer:
                assert answer.status == 413, await answer.text()
        async with http.post(f"{base}/v1/incidents/INC-1/resolve", data=bytes(100_000)) as answer:
            assert answer.status == 413, await answer.text()
    await own.close()


async def test_a_body_that_does_not_come_is_given_up_and_its_connection_with_it(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "BODY_SECONDS", 1.0)
    own = Database(runtime_dsn(database, "escalation"))
    app = create_app("escalation")
    app.include_router(api.make_router(own, lambda: NOON, "token"))
    head = (
        "POST /v1/incidents/INC-1/resolve HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    )
    async with served(app) as base, asyncio.timeout(20):
        reader, writer = await asyncio.open_connection("127.0.0.1", int(base.rpartition(":")[2]))
        writer.write(f"{head}Content-Length: 100\r\n\r\n{{".encode())
        answer = await reader.read()
        writer.close()
    assert answer.startswith(b"HTTP/1.1 408 "), answer
    assert b"connection: close" in answer.lower()
    await own.close()


async def test_an_incident_that_this_version_cannot_read_holds_up_nobody_elses_pages(
    database: str,
) -> None:
    async with receiver() as webhooks, world(database, webhooks.url) as it:
        newer, _ = await it.triaged(1, 2)
        await it.rows(
            "UPDATE incidents SET state = jsonb_set(state, '{response,status}', '\"escaped\"') WHERE id = $1",
            newer,
        )
        async with sending(it):
            sent = await it.page("sent")
        assert (sent["incident_id"] != newer, len(webhooks.hits)) == (True, 1)
