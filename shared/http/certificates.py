"""The certificates of TLS endpoints."""

import asyncio
import ssl
from datetime import UTC, datetime

_SECONDS = 5


async def load_expiry(host: str, port: int) -> datetime:
    """When the certificate of an endpoint expires. Raises ssl.SSLCertVerificationError for one that
    this machine does not trust, or that has expired; OSError.
    """
    context = ssl.create_default_context()
    async with asyncio.timeout(_SECONDS):
        _, writer = await asyncio.open_connection(host, port, ssl=context)
    certificate = writer.get_extra_info("peercert")
    writer.transport.abort()
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(certificate["notAfter"]), UTC)
