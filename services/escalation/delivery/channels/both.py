"""The ways to reach a person: a signed webhook and mail. They raise NotDelivered in words that give
nothing away.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from email.message import EmailMessage
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

import aiohttp
import aiosmtplib
from standardwebhooks import Webhook

from services.escalation.delivery.domain.egress import EgressRefused, guarded_socket
from services.escalation.delivery.domain.outcome import (
    Failure,
    NotDelivered,
    http_failure,
    smtp_failure,
)
from services.escalation.delivery.domain.pages import Notice, mail, webhook_body
from shared.events.trace_context import TraceContext
from shared.http.network import Network
from shared.runtime.clock import Clock

_MAX_ANSWER = 64 * 1024


class Channel(Protocol):
    """One method of reaching people."""

    async def send(self, notice: Notice, address: str, trace: TraceContext | None) -> None:
        """Return when the receiver has confirmed; raise NotDelivered otherwise."""

    async def close(self) -> None:
        """Let go of connections."""


class WebhookChannel:
    """Standard Webhooks (https://www.standardwebhooks.com), signed with every live secret: so one
    can be replaced.
    """

    def __init__(
        self, secrets: str, allowed: Sequence[Network], timeout_seconds: float, clock: Clock
    ) -> None:
        self._signers = [Webhook(secret) for secret in secrets.split()]
        self._allowed = allowed
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None

    async def send(self, notice: Notice, address: str, trace: TraceContext | None) -> None:
        """POST the page. Its status is the answer; the body is read only so that the connection can
        be used again.
        """
        body = webhook_body(notice)
        failure: Failure | None
        try:
            async with self._open().post(
                address,
                data=body,
                headers=self._headers(notice.attempt_key, body, trace),
                allow_redirects=False,
            ) as answer:
                failure = http_failure(
                    answer.status, answer.headers.get("Retry-After"), self._clock()
                )
                with suppress(aiohttp.ClientError, OSError):
                    await answer.content.read(_MAX_ANSWER)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # `from None`: the errors of the client quote the URL.
            raise NotDelivered(_client_failure(error)) from None
        if failure is not None:
            raise NotDelivered(failure)

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(
                limit=0, use_dns_cache=False, socket_factory=guarded_socket(self._allowed)
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                timeout=self._timeout,
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
                auto_decompress=False,  # nobody reads what it would make of the body
            )
        return self._session

    def _headers(self, key: str, body: bytes, trace: TraceContext | None) -> Mapping[str, str]:
        now = self._clock()
        signatures = (
            signer.sign(msg_id=key, timestamp=now, data=body.decode()) for signer in self._signers
        )
        headers = {
            "content-type": "application/json",
            "user-agent": "tocsin/1",
            "webhook-id": key,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": " ".join(signatures),
        }
        if trace is not None:
            headers["traceparent"] = trace.traceparent
        return headers


def _client_failure(error: Exception) -> Failure:
    match error:
        case aiohttp.ClientSSLError():  # before ValueError, which a bad certificate is too
            return Failure("TLS failed")
        case aiohttp.InvalidURL() | ValueError():
            return Failure("the address is not a URL that can be called", final=True)
        case aiohttp.ConnectionTimeoutError():
            return Failure("timed out while connecting")
        case TimeoutError():
            return Failure("timed out", uncertain=True)
        case aiohttp.ClientConnectorDNSError():
            return Failure("the host name does not resolve")
        case aiohttp.ClientConnectorError(os_error=EgressRefused()):
            return Failure(str(error.os_error), final=True)
        case aiohttp.ClientConnectorError():
            return Failure("the connection was refused or not possible")
        case _:
            return Failure("the connection broke off", uncertain=True)


class _Client(aiosmtplib.SMTP):
    """Knows from when on the server may have the mail, whatever it says or does not say."""

    handed_over = False

    async def data(self, *arguments: Any, **options: Any) -> aiosmtplib.SMTPResponse:
        """Hand over the mail itself."""
        self.handed_over = True
        return await super().data(*arguments, **options)


class MailChannel:
    """SMTP, a connection a mail; `server` is smtp://[user:password@]host[:port] or smtps://..."""

    def __init__(self, server: str, sender: str, timeout_seconds: float) -> None:
        self._server = urlsplit(server)
        self._sender = sender
        self._timeout = timeout_seconds

    async def send(self, notice: Notice, address: str, trace: TraceContext | None) -> None:
        """Hand the mail to the server; delivered means that it answered 250 to the data."""
        message: EmailMessage = mail(notice, self._sender, address)
        server, taken = self._server, False
        client = _Client(
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
        try:
            async with asyncio.timeout(self._timeout), client:
                await client.send_message(message, sender=self._sender, recipients=[address])
                taken = True
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            if not taken:  # else the farewell alone failed
                failure = _mail_failure(error)
                raise NotDelivered(
                    replace(failure, uncertain=failure.uncertain and client.handed_over)
                ) from None

    async def close(self) -> None:
        """Nothing is held."""


def _mail_failure(error: Exception) -> Failure:
    match error:
        case aiosmtplib.SMTPRecipientsRefused():
            return smtp_failure(max(refused.code for refused in error.recipients))
        case aiosmtplib.SMTPResponseException():
            return smtp_failure(error.code)
        case aiosmtplib.SMTPException() if (
            type(error) is aiosmtplib.SMTPException
        ):  # an extension is missing
            return Failure("the mail server offers no TLS, or no way to log in", final=True)
        case aiosmtplib.SMTPConnectError() | aiosmtplib.SMTPConnectTimeoutError():
            return Failure("no connection to the mail server")
        case TimeoutError() | aiosmtplib.SMTPTimeoutError():
            return Failure("the mail server timed out", uncertain=True)
        case ValueError():
            return Failure("the address is not one that mail can be sent to", final=True)
        case _:
            return Failure("the connection to the mail server broke off", uncertain=True)
