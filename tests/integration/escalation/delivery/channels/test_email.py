"""Mail through real SMTP servers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from functools import partial
from pathlib import Path

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session

from services.escalation.delivery.channels.email import EmailTransport
from services.escalation.delivery.domain.failure import Failure, NotDelivered
from tests.support.certificates import Certificate, self_signed
from tests.support.escalating import Mailbox, mail_server
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


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return self_signed(tmp_path_factory.mktemp("tls"))


@asynccontextmanager
async def tls_server(certificate: Certificate, scheme: str) -> AsyncIterator[tuple[Mailbox, str]]:
    """A mail server with STARTTLS (smtp) or TLS from the start (smtps)."""
    box, context = Mailbox(), certificate.server_context()
    if scheme == "smtps":
        server = await asyncio.get_running_loop().create_server(
            lambda: SMTP(box), "127.0.0.1", 0, ssl=context
        )
    else:
        make = partial(SMTP, box, tls_context=context, require_starttls=False)
        server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", 0)
    async with server:
        yield box, f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def send(
    server: str, recipient: str = "ana@example.com", sender: str = "tocsin@example.com"
) -> None:
    await EmailTransport(server, sender, 10).send(notice(), recipient, None)


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
@pytest.mark.parametrize("kind", ["nobody signed it", "expired", "of another host"])
async def test_a_certificate_that_is_not_trusted_is_a_failure_of_tls_and_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheme: str, kind: str
) -> None:
    name = "DNS:other.example" if kind == "of another host" else "IP:127.0.0.1"
    certificate = self_signed(tmp_path, name, days=-1 if kind == "expired" else 1)
    if kind != "nobody signed it":
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate.path))
    async with tls_server(certificate, scheme) as (box, address):
        with pytest.raises(NotDelivered) as failed:
            await send(address)
    assert failed.value.failure == Failure("TLS failed")
    assert box.mails == []


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
async def test_a_certificate_that_ssl_cert_file_names_is_trusted(
    certificate: Certificate, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.path))
    async with tls_server(certificate, scheme) as (box, address):
        await send(address)
    assert len(box.mails) == 1


async def test_a_server_that_speaks_no_tls_where_it_should_is_a_failure_of_tls() -> None:
    async with mail_server() as (box, address):
        with pytest.raises(NotDelivered) as failed:
            await send(address.replace("smtp:", "smtps:"))
    assert (failed.value.failure.error, failed.value.failure.final) == ("TLS failed", False)
    assert box.mails == []


@dataclass
class Envelopes:
    """A handler that keeps what the envelope said. It does not offer SMTPUTF8."""

    seen: list[tuple[str | None, list[str], bytes]] = field(default_factory=list)

    async def handle_DATA(self, _: SMTP, __: Session, envelope: Envelope) -> str:
        assert isinstance(envelope.content, bytes)
        self.seen.append((envelope.mail_from, envelope.rcpt_tos, envelope.content))
        return "250 OK"


@asynccontextmanager
async def ascii_server() -> AsyncIterator[tuple[Envelopes, str]]:
    envelopes = Envelopes()
    make = partial(SMTP, envelopes, enable_SMTPUTF8=False)
    server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", 0)
    async with server:
        yield envelopes, f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize(
    ("sender", "shown"),
    [
        ("Töcsin Alarm <tocsin@example.com>", "Töcsin Alarm <tocsin@example.com>"),
        ('"Alarm, Töcsin" <tocsin@example.com>', '"Alarm, Töcsin" <tocsin@example.com>'),
        ("Tocsin <tocsin@example.com>", "Tocsin <tocsin@example.com>"),
        ("tocsin@example.com", "tocsin@example.com"),
    ],
)
async def test_a_display_name_is_encoded_and_no_part_of_the_envelope(
    sender: str, shown: str
) -> None:
    async with ascii_server() as (envelopes, address):
        await send(address, sender=sender)
    ((mail_from, _, content),) = envelopes.seen
    assert mail_from == "tocsin@example.com"
    assert content.isascii()
    assert message_from_bytes(content, policy=policy.default)["From"] == shown


async def test_domains_that_are_not_ascii_are_sent_in_their_ascii_form() -> None:
    async with ascii_server() as (envelopes, address):
        await send(address, "cleo@müller.example", "Tocsin <tocsin@bücher.example>")
    ((mail_from, recipients, content),) = envelopes.seen
    assert mail_from == "tocsin@xn--bcher-kva.example"
    assert recipients == ["cleo@xn--mller-kva.example"]
    assert b"To: cleo@xn--mller-kva.example" in content


async def test_a_local_part_that_is_not_ascii_fails_at_once_and_says_why() -> None:
    async with ascii_server() as (envelopes, address):
        with pytest.raises(NotDelivered) as failed:
            await send(address, "clé@example.com")
    assert failed.value.failure == Failure(
        "before the @ of a mail address only ASCII characters can be used", final=True
    )
    assert envelopes.seen == []
