"""Mail through real SMTP servers."""

import asyncio
from functools import partial

import pytest
from aiosmtpd.smtp import SMTP

from services.escalation.delivery.channels.email import EmailTransport
from services.escalation.delivery.domain.failure import NotDelivered
from tests.support.escalating import Mailbox
from tests.unit.escalation.delivery.notices import notice


async def test_a_mail_that_the_server_took_is_delivered_though_the_farewell_hangs() -> None:
    class Hanging(SMTP):
        async def smtp_QUIT(self, arg: str) -> None:
            await asyncio.sleep(3600)

    box = Mailbox()
    server = await asyncio.get_running_loop().create_server(lambda: Hanging(box), "127.0.0.1", 0)
    async with server:
        address = f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        await EmailTransport(address, "tocsin@example.com", 1).send(
            notice(), "ana@example.com", None
        )
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
            await EmailTransport(address, "tocsin@example.com", 1).send(
                notice(), "ana@example.com", None
            )
    assert (heard, box.mails) == ([], [])
    assert failed.value.failure.final
