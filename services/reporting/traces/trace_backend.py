"""Reads traces from a backend with Jaeger's query API. Only a trace's picture depends on it."""

import asyncio
import logging

import aiohttp

from services.reporting.traces.domain.trace import InvalidTrace, Span, read_trace

log = logging.getLogger(__name__)
_TIMEOUT_SECONDS = 2.0
_MAX_BYTES = 8 * 1024 * 1024
_MAX_CONCURRENT = 8


class TraceUnavailable(Exception):
    """The trace cannot be shown; the text says why."""


class TraceBackend:
    """The backend whose query API is at `api`."""

    def __init__(
        self, api: str, timeout_seconds: float = _TIMEOUT_SECONDS, max_bytes: int = _MAX_BYTES
    ) -> None:
        self._api = api.rstrip("/")
        self._timeout_seconds = timeout_seconds
        self._max_bytes = max_bytes
        self._slots = asyncio.Semaphore(_MAX_CONCURRENT)

    async def load(self, trace_id: str) -> list[Span]:
        """The spans of a trace, at least one. Raises TraceUnavailable."""
        try:
            async with asyncio.timeout(self._timeout_seconds), self._slots:
                body = await self._fetch(trace_id)
            # Parsing megabytes takes a while; other requests are served meanwhile.
            spans = await asyncio.to_thread(read_trace, body)
        except TimeoutError:
            raise self._unavailable(f"did not answer within {self._timeout_seconds:g} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # `from None`: the errors of the client quote the address, which may hold a password.
            raise self._unavailable("cannot be reached", type(error).__qualname__) from None
        except InvalidTrace:
            raise self._unavailable("answered with something that is not a trace") from None
        if not spans:
            raise TraceUnavailable(_UNKNOWN)
        return spans

    async def _fetch(self, trace_id: str) -> bytes:
        async with (
            aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
            session.get(f"{self._api}/api/traces/{trace_id}", allow_redirects=False) as answer,
        ):
            if answer.status == 404:
                raise TraceUnavailable(_UNKNOWN)
            if answer.status != 200:
                raise self._unavailable(f"answered HTTP {answer.status}")
            body = bytearray()
            async for chunk in answer.content.iter_any():
                body += chunk
                if len(body) > self._max_bytes:
                    size = f"{self._max_bytes // 1024} KiB"
                    raise TraceUnavailable(
                        f"The trace is larger than {size}, too much to draw here."
                    )
            return bytes(body)

    def _unavailable(self, what: str, error: str | None = None) -> TraceUnavailable:
        log.warning("no trace to show", extra={"reason": what, "error": error})
        return TraceUnavailable(f"The trace backend {what}.")


_UNKNOWN = (
    "The trace backend does not have this trace. "
    "Spans reach it some seconds late, and it keeps them for a time only."
)
