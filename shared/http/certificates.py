"""The certificates of TLS endpoints."""

import asyncio
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

_SECONDS = 5


async def load_expiry(host: str, port: int, ca_file: Path | None = None) -> datetime:
    """When the certificate of an endpoint expires. `ca_file` takes the place of the CAs that this
    machine trusts. Raises ssl.SSLCertVerificationError for one that is not trusted, or that has
    expired; OSError.
    """
    context = ssl.create_default_context(cafile=ca_file)
    async with asyncio.timeout(_SECONDS):
        _, writer = await asyncio.open_connection(host, port, ssl=context)
    certificate = writer.get_extra_info("peercert")
    writer.transport.abort()
    return expiry_of(certificate)


def expiry_of(certificate: Mapping[str, Any]) -> datetime:
    """When a certificate expires that is as `ssl.SSLSocket.getpeercert` has it."""
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(certificate["notAfter"]), UTC)
