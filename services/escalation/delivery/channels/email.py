"""Mail over SMTP. Errors never quote an address."""

import asyncio
import re
import ssl
from collections.abc import Sequence
from dataclasses import replace
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from typing import Any
from urllib.parse import unquote, urlsplit

import aiosmtplib
import idna
from pydantic import BaseModel, SecretStr, field_validator

from services.escalation.delivery.channel import Channel
from services.escalation.delivery.domain.failure import Failure, NotDelivered, smtp_failure
from services.escalation.delivery.domain.page import Notice
from shared.events.trace_context import TraceContext
from shared.http.network import Network
from shared.runtime.clock import Clock

_MAX_ADDRESS = 254


def mailbox(address: str) -> str:
    """`local@domain` as every mail server takes it: the domain in its ASCII form. Raises ValueError
    that says what is wrong and does not repeat the address.
    """
    if len(address) > _MAX_ADDRESS or not re.fullmatch(r"[^@\s,;<>]+@[^@\s,;<>]+", address):
        raise ValueError("write one mail address, name@host")
    local, _, domain = address.rpartition("@")
    if not local.isascii():
        raise ValueError("before the @ of a mail address only ASCII characters can be used")
    if domain.isascii():
        return address
    try:
        return f"{local}@{idna.encode(domain, uts46=True).decode()}"
    except idna.IDNAError:
        raise ValueError("the host of the mail address is no valid domain name") from None


class EmailSettings(BaseModel):
    """`smtp` is smtp://[user:password@]host[:port] or smtps://...; without it, no mail is sent."""

    smtp: SecretStr | None = None
    smtp_from: str
    webhook_timeout: float

    @field_validator("smtp_from")
    @classmethod
    def _has_mailbox(cls, value: str) -> str:
        mailbox(parseaddr(value)[1])
        return value


class _Client(aiosmtplib.SMTP):
    """Knows from when on the server may have the mail, whatever happens afterwards."""

    handed_over = False

    async def data(self, *arguments: Any, **options: Any) -> aiosmtplib.SMTPResponse:
        """Hand over the mail itself."""
        self.handed_over = True
        return await super().data(*arguments, **options)


class EmailTransport:
    """One connection for each mail. `sender` may have a display name: `Tocsin <tocsin@host>`."""

    def __init__(self, server: str, sender: str, timeout_seconds: float) -> None:
        self._server = urlsplit(server)
        self._name, address = parseaddr(sender)
        self._sender = mailbox(address)
        self._timeout = timeout_seconds

    async def send(self, notice: Notice, address: str, trace: TraceContext | None) -> None:
        """Hand the mail to the server; delivered means that it answered 250 to the data."""
        try:
            recipient = mailbox(address)
        except ValueError as error:
            raise NotDelivered(Failure(str(error), final=True)) from None
        message = mail(notice, (self._name, self._sender), recipient)
        client, taken = self._client(), False
        try:
            async with asyncio.timeout(self._timeout), client:
                # Not what stands in the headers: display names are no part of the envelope.
                await client.send_message(message, sender=self._sender, recipients=[recipient])
                taken = True
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            if taken:  # only the goodbye failed
                return
            failure = _mail_failure(error)
            uncertain = failure.uncertain and client.handed_over
            raise NotDelivered(replace(failure, uncertain=uncertain)) from None

    async def close(self) -> None:
        """Nothing is held."""

    def _client(self) -> _Client:
        server = self._server
        return _Client(
            hostname=server.hostname,
            port=server.port,
            username=unquote(server.username) if server.username else None,
            password=unquote(server.password) if server.password else None,
            use_tls=server.scheme == "smtps",
            # A password never goes out in clear: without TLS from the start, the server has to
            # offer it.
            start_tls=None if server.scheme == "smtps" or not server.password else True,
            timeout=self._timeout,
        )


def mail(notice: Notice, sender: tuple[str, str], recipient: str) -> EmailMessage:
    """The mail, from a display name and an address; a line break in the summary cannot make a
    header.
    """
    name, address = sender
    message = EmailMessage()
    message["From"] = Address(name, addr_spec=address)
    message["To"] = recipient
    message["Subject"] = notice.subject
    message["Date"] = format_datetime(notice.at)
    # All attempts at one page have one id, so that a mail system can drop the repeat.
    message["Message-ID"] = f"<{notice.order.attempt_key}@tocsin>"
    message["Auto-Submitted"] = "auto-generated"
    message["X-Tocsin"] = "page"  # intake takes no such mail: it would page again
    message.set_content(notice.text)
    return message


def _mail_failure(error: Exception) -> Failure:
    match error:
        case aiosmtplib.SMTPRecipientsRefused():
            return smtp_failure(max(refused.code for refused in error.recipients))
        case aiosmtplib.SMTPResponseException():
            return smtp_failure(error.code)
        case ssl.SSLError() | aiosmtplib.SMTPConnectError(__cause__=ssl.SSLError()):
            return Failure("TLS failed")  # before ValueError, which a bad certificate is too
        case aiosmtplib.SMTPException() if type(error) is aiosmtplib.SMTPException:
            # The general type stands for an extension that the server lacks.
            return Failure("the mail server offers no TLS, or no way to log in", final=True)
        case aiosmtplib.SMTPConnectError() | aiosmtplib.SMTPConnectTimeoutError():
            return Failure("no connection to the mail server")
        case TimeoutError() | aiosmtplib.SMTPTimeoutError():
            return Failure("the mail server timed out", uncertain=True)
        case ValueError():
            return Failure("the address is not one that mail can be sent to", final=True)
        case _:
            return Failure("the connection to the mail server broke off", uncertain=True)


def _check(address: str, _: Sequence[Network]) -> str | None:
    try:
        mailbox(address)
    except ValueError as error:
        return str(error)
    return None


def _open(settings: EmailSettings, _: Clock) -> EmailTransport | None:
    if settings.smtp is None:
        return None
    server = settings.smtp.get_secret_value()
    return EmailTransport(server, settings.smtp_from, settings.webhook_timeout)


CHANNEL = Channel(
    name="email", field="email", check=_check, settings=EmailSettings, open=_open, preference=10
)
