"""Mail servers that defer, refuse, hang or disconnect: mail is sent when possible, and the ledger
is right.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.support.escalating import TEAMS, Mailbox, Receiver, World, receiver, sending, world
from tests.support.misbehaving import Behaviour, disconnect, drips, hang, misbehaving, says
from tests.support.running import eventually

TIMEOUT_SECONDS = 1
LONG_TIMEOUT_SECONDS = 10  # for servers that respond at once, on a busy machine too
BROKE_OFF = "the connection to the mail server broke off"
TIMED_OUT = "the mail server timed out"
NO_CONNECTION = "no connection to the mail server"
NONSENSE = "the answer of the mail server makes no sense"
MAIL_FIRST = TEAMS.replace(
    'webhook: "{url}/ana"', 'webhook: "{url}/ana", methods: [email, webhook]'
)


class TemperamentalServer(Mailbox):
    """A server that gives each of its `first` responses once, then accepts mail."""

    def __init__(self, **first: str) -> None:
        super().__init__()
        self._first = first
        self.disconnect_after_accepting = False

    async def handle_MAIL(
        self, _: SMTP, __: Session, envelope: Envelope, address: str, ___: list[str]
    ) -> str:
        envelope.mail_from = address
        return self._first.pop("mail", "250 OK")

    async def handle_RCPT(
        self, _: SMTP, __: Session, envelope: Envelope, address: str, ___: list[str]
    ) -> str:
        if answer := self._first.pop("rcpt", None):
            return answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if answer := self._first.pop("data", None):
            return answer
        answer = await super().handle_DATA(server, session, envelope)
        if self.disconnect_after_accepting:
            self.disconnect_after_accepting = False
            assert isinstance(server.transport, asyncio.Transport)
            server.transport.abort()
        return answer


@asynccontextmanager
async def paging(database: str, box: Mailbox) -> AsyncIterator[tuple[World, Receiver]]:
    """Escalation that tries mail first for Ana, and the webhook receiver."""
    server = await asyncio.get_running_loop().create_server(lambda: SMTP(box), "127.0.0.1", 0)
    async with (
        server,
        paging_at(database, server.sockets[0].getsockname()[1], LONG_TIMEOUT_SECONDS) as (
            it,
            webhooks,
        ),
    ):
        yield it, webhooks


@asynccontextmanager
async def paging_at(
    database: str, port: int, timeout: float = TIMEOUT_SECONDS
) -> AsyncIterator[tuple[World, Receiver]]:
    """The same with any mail server."""
    async with (
        receiver() as webhooks,
        world(
            database, webhooks.url, f"smtp://127.0.0.1:{port}", timeout=timeout, teams=MAIL_FIRST
        ) as it,
        sending(it, timeout=timeout),
    ):
        yield it, webhooks


@pytest.mark.parametrize("stage", ["mail", "rcpt", "data"])
async def test_greylisted_mail_is_retried_and_sent_once(database: str, stage: str) -> None:
    box = TemperamentalServer(**{stage: "451 4.7.1 greylisted, come back later"})
    async with paging(database, box) as (it, webhooks):
        await it.triaged(1042)
        row = await it.page("pending", attempts=1)
        assert (row["method"], row["last_error"], row["possible_duplicate"]) == (
            "email",
            "SMTP 451",
            False,
        )
        assert row["due_at"] - row["started_at"] >= timedelta(seconds=4)
        await it.jump(seconds=10)
        row = await it.page("sent", attempts=2)
    assert (row["possible_duplicate"], webhooks.hits) == (False, []), (
        "no other method while this one may still succeed"
    )
    (mail,) = box.mails
    assert mail["Message-ID"] == f"<{row['attempt_key']}@tocsin>"


@pytest.mark.parametrize("stage", ["mail", "rcpt", "data"])
async def test_refused_mail_fails_at_once_and_the_next_method_is_used(
    database: str, stage: str
) -> None:
    box = TemperamentalServer(**{stage: "550 5.1.1 nobody of that name"})
    async with paging(database, box) as (it, webhooks):
        await it.triaged(1042)
        failed = await it.page("failed", method="email")
        sent = await it.page("sent", method="webhook")
    assert (failed["last_error"], failed["attempts"], failed["possible_duplicate"]) == (
        "SMTP 550",
        1,
        False,
    )
    assert sent["why"][-1] == "email failed for good: webhook is tried"
    assert (box.mails, [hit.key for hit in webhooks.hits]) == ([], [sent["attempt_key"]])


UNWILLING: dict[str, tuple[Behaviour, set[str]]] = {
    "hangs before its greeting": (hang, {TIMED_OUT, NO_CONNECTION}),
    "sends its greeting byte by byte": (drips(b"220 " + b"x" * 1000), {TIMED_OUT, NO_CONNECTION}),
    "disconnects before its greeting": (disconnect, {NO_CONNECTION}),
    "disconnects in its greeting": (says(b"220 mail.exa"), {NO_CONNECTION}),
    "is too busy": (says(b"421 4.3.2 too busy\r\n"), {"SMTP 421"}),
    "is no mail server": (says(b"HTTP/1.1 200 OK\r\n\r\n"), {NONSENSE}),
}


@pytest.mark.parametrize("case", UNWILLING)
async def test_mail_that_no_server_accepted_is_retried_and_is_no_possible_duplicate(
    database: str, case: str
) -> None:
    behaviour, errors = UNWILLING[case]
    timeout = TIMEOUT_SECONDS if TIMED_OUT in errors else LONG_TIMEOUT_SECONDS
    async with (
        misbehaving(behaviour, reads=False) as bad,
        paging_at(database, bad.port, timeout) as (it, _),
    ):
        await it.triaged(1042)
        row = await it.page("pending", method="email", attempts=1)
        assert row["possible_duplicate"] is False
        assert row["last_error"] in errors
        await it.jump(seconds=60)
        await it.fire_due()
        await it.page("sent", user_id="ben", method="webhook")


async def test_mail_is_retried_as_a_possible_duplicate_after_a_disconnect_without_a_reply(
    database: str,
) -> None:
    box = TemperamentalServer()
    box.disconnect_after_accepting = True
    async with paging(database, box) as (it, _):
        await it.triaged(1042)
        row = await it.page("pending", attempts=1)
        assert (row["last_error"], row["possible_duplicate"]) == (BROKE_OFF, True)
        await it.jump(seconds=10)
        row = await it.page("sent", attempts=2)
        ((_, sent),) = await it.told("PageSent")
    assert (row["possible_duplicate"], sent["data"]["page"]["possible_duplicate"]) == (True, True)
    assert {mail["Message-ID"] for mail in box.mails} == {f"<{row['attempt_key']}@tocsin>"}, (
        "both have the same id"
    )
    assert len(box.mails) == 2


async def test_a_mail_server_that_hangs_does_not_delay_webhooks(database: str) -> None:
    async with (
        misbehaving(hang, reads=False) as bad,
        paging_at(database, bad.port) as (it, webhooks),
    ):
        await it.triaged(*range(100))
        await it.jump(seconds=60)
        await it.fire_due()
        await eventually("Ben has all his webhooks", lambda: _hits(webhooks, 100))
        assert {row["status"] for row in await it.ledger() if row["method"] == "email"} <= {
            "pending",
            "sending",
        }


async def _hits(webhooks: Receiver, count: int) -> bool:
    return len(webhooks.hits) == count
