"""Traces from a backend that has the query API of Jaeger. It is asked for a picture; nothing waits
for it.
"""

import asyncio
import logging

import aiohttp

from services.reporting.traces.domain.trace import NotATrace, Span, read_trace

log = logging.getLogger(__name__)
_TIMEOUT_SECONDS = 2.0
_MOST_BYTES = 8 * 1024 * 1024
_AT_ONCE = 8


class NoTrace(Exception):
    """The trace cannot be shown; the text says why."""


class Traces:
    """The backend whose query API is at `api`."""

    def __init__(
        self, api: str, timeout_seconds: float = _TIMEOUT_SECONDS, most_bytes: int = _MOST_BYTES
    ) -> None:
        self._api = api.rstrip("/")
        self._timeout_seconds = timeout_seconds
        self._most_bytes = most_bytes
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def load(self, trace_id: str) -> list[Span]:
        """The spans of a trace, at least one. Raises NoTrace."""
        try:
            async with asyncio.timeout(self._timeout_seconds), self._turns:
                body = await self._fetch(trace_id)
            # Some megabytes take a while, and others are served meanwhile.
            spans = await asyncio.to_thread(read_trace, body)
        except TimeoutError:
            raise self._complain(f"did not answer within {self._timeout_seconds:g} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # `from None`: the errors of the client quote the address, which may hold a password.
            raise self._complain("cannot be reached", type(error).__qualname__) from None
        except NotATrace:
            raise self._complain("answered with something that is not a trace") from None
        if not spans:
            raise NoTrace(_UNKNOWN)
        return spans

    async def _fetch(self, trace_id: str) -> bytes:
        async with (
            aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
            session.get(f"{self._api}/api/traces/{trace_id}", allow_redirects=False) as answer,
        ):
            if answer.status == 404:
                raise NoTrace(_UNKNOWN)
            if answer.status != 200:
                raise self._complain(f"answered HTTP {answer.status}")
            body = bytearray()
            async for chunk in answer.content.iter_any():
                body += chunk
                if len(body) > self._most_bytes:
                    raise NoTrace(
                        f"The trace is larger than {self._most_bytes // 1024} KiB, too much to draw here."
                    )
            return bytes(body)

    def _complain(self, what: str, error: str | None = None) -> NoTrace:
        log.warning("no trace to show", extra={"reason": what, "error": error})
        return NoTrace(f"The trace backend {what}.")


_UNKNOWN = (
    "The trace backend does not have this trace. "
    "Spans reach it some seconds late, and it keeps them for a time only."
)
