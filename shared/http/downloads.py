"""Fetches small documents over https, from public addresses and permitted networks only."""

from collections.abc import Sequence
from time import monotonic

import aiohttp

from shared.http.egress import check_url, guarded_socket
from shared.http.network import Network

_SECONDS = 5
_MAX_BYTES = 64 * 1024
_REMEMBERED_SECONDS = 3600
_MAX_REMEMBERED = 50


class NotDownloaded(Exception):
    """There is no document, for a reason that does not repeat its address."""


class Downloads:
    """Each document has a connection of its own: there are few."""

    def __init__(self, allowed: Sequence[Network]) -> None:
        self._allowed = allowed
        self._remembered: dict[str, tuple[bytes, float]] = {}

    async def download(self, url: str, *, lasting: bool = False) -> bytes:
        """The body of a 2xx answer, of at most 64 KiB; one that is `lasting` is remembered for an
        hour. Redirects are not followed. Raises NotDownloaded.
        """
        content, until = self._remembered.get(url, (b"", 0.0))
        if lasting and monotonic() < until:
            return content
        content = await self._download(url)
        if lasting:
            if len(self._remembered) >= _MAX_REMEMBERED:
                self._remembered.clear()
            self._remembered[url] = (content, monotonic() + _REMEMBERED_SECONDS)
        return content

    async def _download(self, url: str) -> bytes:
        if not url.startswith("https://"):
            raise NotDownloaded("the address is not https://")
        if fault := check_url(url, self._allowed):
            raise NotDownloaded(fault)
        timeout = aiohttp.ClientTimeout(total=_SECONDS)
        connector = aiohttp.TCPConnector(
            use_dns_cache=False, socket_factory=guarded_socket(self._allowed)
        )
        try:
            async with (
                aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
                session.get(url, allow_redirects=False) as answer,
            ):
                return await _content(answer)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # `from None`: the errors of the client quote the URL.
            raise NotDownloaded(f"the sender's address cannot be read: {_reason(error)}") from None


async def _content(answer: aiohttp.ClientResponse) -> bytes:
    if not 200 <= answer.status < 300:
        raise NotDownloaded(f"the sender's address answered HTTP {answer.status}")
    content = b""
    async for chunk in answer.content.iter_chunked(_MAX_BYTES):
        content += chunk
        if len(content) > _MAX_BYTES:
            raise NotDownloaded(f"the sender's address answered more than {_MAX_BYTES} bytes")
    return content


def _reason(error: Exception) -> str:
    match error:
        case TimeoutError():
            return f"nothing within {_SECONDS} seconds"
        case aiohttp.ClientSSLError():
            return "TLS failed"
        case aiohttp.ClientConnectorDNSError():
            return "the host name does not resolve"
        case _:
            return "no connection"
