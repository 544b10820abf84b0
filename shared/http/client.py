"""How commands call the HTTP API of a running service."""

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import orjson

_SECONDS = 15


class ApiError(Exception):
    """A call that failed; the text says why in one line, and names the setting to check."""


@dataclass(frozen=True, slots=True)
class Api:
    """A service's API at `address`, which is the value of the setting `variable`."""

    address: str
    variable: str
    token: str | None = field(default=None, repr=False)
    seconds: float = _SECONDS

    def get(self, path: str, query: Mapping[str, str] | None = None) -> dict[str, Any]:
        """The JSON object of a 2xx answer. Raises ApiError."""
        return asyncio.run(self._call("GET", path, params=query))

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """The same, for an order with a JSON body."""
        return asyncio.run(self._call("POST", path, json=body))

    async def _call(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        timeout = aiohttp.ClientTimeout(total=self.seconds)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout, headers=headers) as session,
                session.request(method, self._base + path, allow_redirects=False, **options) as got,
            ):
                return self._read(got.status, got.content_type, await got.read())
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError):
            raise ApiError(f"{self.variable} is not an http:// or https:// address") from None
        except TimeoutError:
            reason = f"nothing within {self.seconds:g} seconds"
        except aiohttp.ClientConnectorDNSError:
            reason = "the host name does not resolve"
        except aiohttp.ClientSSLError:
            reason = "TLS failed"
        except aiohttp.ClientConnectorError as error:
            number = error.os_error.errno
            reason = os.strerror(number).lower() if number else "no connection"
        except (aiohttp.ClientError, OSError):
            reason = "the connection broke off"
        raise ApiError(f"no answer from {self._base} ({self.variable}): {reason}")

    @property
    def _base(self) -> str:
        return self.address.rstrip("/")

    def _read(self, status: int, content_type: str, body: bytes) -> dict[str, Any]:
        document = _document(body) if "json" in content_type else None
        if 200 <= status < 300 and document is not None:
            return document
        if document is not None and isinstance(detail := document.get("detail"), str):
            raise ApiError(detail)
        hint = f"check that {self.variable} is the address of a Tocsin service"
        raise ApiError(f"{self._base} answered HTTP {status} without a JSON object; {hint}")


def _document(body: bytes) -> dict[str, Any] | None:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return document if isinstance(document, dict) else None
