"""HTTP client of intake, of the links in pages and of reporting, as the canary uses them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson

from shared.events.trace_context import TraceContext

Json = dict[str, Any]
_MAX_PROBLEM_BYTES, _MAX_DETAIL_CHARACTERS = 4096, 300


class NotYet(Exception):
    """The expected state was not reached yet; the text describes the current state."""


RETRYABLE = (NotYet, aiohttp.ClientError, TimeoutError, ValueError, LookupError, TypeError)
"""Failures after which a request is repeated: no response, or one of an unexpected shape."""


@dataclass(frozen=True, slots=True)
class Client:
    """`intake` and `reporting` are base URLs, `key` is the canary's integration key."""

    http: aiohttp.ClientSession
    intake: str
    reporting: str
    key: str

    async def send(self, events: Sequence[Json], trace: TraceContext) -> list[Json]:
        """Send signals in one batch; returns intake's decision for each, once it is committed.

        Raises RETRYABLE; safe to repeat.
        """
        headers = {
            "Authorization": f"Bearer {self.key}",
            "Content-Type": "application/cloudevents-batch+json",
            "traceparent": trace.traceparent,
        }
        answer = await self._json("POST", f"{self.intake}/v1/signals", headers, list(events))
        return list(answer["signals"])

    async def acknowledge(self, link: str) -> None:
        """Acknowledge by the link of a page. Raises RETRYABLE; safe to repeat."""
        try:
            async with self.http.post(link) as response:
                await _raise_for_status(response)
        except aiohttp.InvalidURL:
            raise NotYet("the link in the page is not a valid URL") from None

    async def incident(self, incident: str) -> Json:
        """The incident as reporting has it. Raises RETRYABLE."""
        return await self._json("GET", f"{self.reporting}/v1/incidents/{incident}", {}, None)

    async def _json(self, method: str, url: str, headers: Mapping[str, str], document: Any) -> Json:
        async with self.http.request(method, url, headers=headers, json=document) as response:
            await _raise_for_status(response)
            return dict(await response.json())


async def _raise_for_status(response: aiohttp.ClientResponse) -> None:
    if response.status >= 300:
        detail = _detail(await response.content.read(_MAX_PROBLEM_BYTES))
        # The path of a link is a credential, so only the host is named.
        raise NotYet(f"{response.url.origin()} answered {response.status}{detail}")


def _detail(body: bytes) -> str:
    """The detail of a problem+json, formatted to follow a status; empty if there is none."""
    try:
        return f": {orjson.loads(body)['detail'][:_MAX_DETAIL_CHARACTERS]}"
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return ""
