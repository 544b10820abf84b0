"""Signed webhooks, as https://www.standardwebhooks.com describes them. Errors never quote a URL."""

from collections.abc import Mapping, Sequence
from contextlib import suppress

import aiohttp
import orjson
from pydantic import BaseModel, SecretStr
from standardwebhooks import Webhook

from services.escalation.delivery.channel import Channel
from services.escalation.delivery.domain.failure import Failure, NotDelivered, http_failure
from services.escalation.delivery.domain.page import Notice
from shared.events.trace_context import TraceContext
from shared.http.egress import EgressRefused, check_url, guarded_socket
from shared.http.network import Network
from shared.policy.secrets import no_literal_secret
from shared.runtime.clock import Clock

_MAX_ANSWER = 64 * 1024


class WebhookSettings(BaseModel):
    """Without a secret, no webhook is sent."""

    webhook_secret: SecretStr | None = None
    webhook_timeout: float
    allowed_networks: tuple[Network, ...] = ()


class WebhookTransport:
    """Signs with every live secret, so that a receiver may hold either while one is replaced."""

    def __init__(
        self, secrets: str, allowed: Sequence[Network], timeout_seconds: float, clock: Clock
    ) -> None:
        self._signers = [Webhook(secret) for secret in secrets.split()]
        self._allowed = allowed
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None

    async def send(self, notice: Notice, address: str, trace: TraceContext | None) -> None:
        """POST the page. Only the status counts; the body is read so that the connection can be
        used again.
        """
        body = webhook_body(notice)
        headers = self._headers(notice.order.attempt_key, body, trace)
        try:
            async with self._open().post(
                address, data=body, headers=headers, allow_redirects=False
            ) as answer:
                retry_after = answer.headers.get("Retry-After")
                failure = http_failure(answer.status, retry_after, self._clock())
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
                auto_decompress=False,  # the body of the answer is not used
            )
        return self._session

    def _headers(self, key: str, body: bytes, trace: TraceContext | None) -> Mapping[str, str]:
        now = self._clock()
        signatures = [
            signer.sign(msg_id=key, timestamp=now, data=body.decode()) for signer in self._signers
        ]
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


def webhook_body(notice: Notice) -> bytes:
    """The JSON body, in the layout of Standard Webhooks: type, timestamp, data."""
    body = {"type": "tocsin.page", "timestamp": notice.at, "data": notice.data}
    return orjson.dumps(body, option=orjson.OPT_UTC_Z)


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


def _open(settings: WebhookSettings, clock: Clock) -> WebhookTransport | None:
    if settings.webhook_secret is None:
        return None
    secrets = settings.webhook_secret.get_secret_value()
    return WebhookTransport(secrets, settings.allowed_networks, settings.webhook_timeout, clock)


CHANNEL = Channel(
    name="webhook",
    field="webhook",
    check=check_url,
    rule=no_literal_secret,
    settings=WebhookSettings,
    open=_open,
    preference=20,
)
