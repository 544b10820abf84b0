"""Tocsin as the canary sees it: three addresses, by HTTP."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson

from shared.events.trace_context import TraceContext

Json = dict[str, Any]
_MAX_PROBLEM, _MAX_WORDS = 4096, 300


class NotYet(Exception):
    """What is looked for is not there yet; the text says what is."""


UNHEARD = (NotYet, aiohttp.ClientError, TimeoutError, ValueError, LookupError, TypeError)
"""Why a look brought nothing: no answer, or one of another shape. The next may."""


@dataclass(frozen=True, slots=True)
class Front:
    """`intake` and `reporting` are base addresses, `key` is the canary's integration key."""

    http: aiohttp.ClientSession
    intake: str
    reporting: str
    key: str

    async def send(self, events: Sequence[Json], trace: TraceContext) -> list[Json]:
        """Send signals together; what became of each, once that is committed. Raises UNHEARD; safe
        to repeat.
        """
        headers = {
            "Authorization": f"Bearer {self.key}",
            "Content-Type": "application/cloudevents-batch+json",
            "traceparent": trace.traceparent,
        }
        answer = await self._json("POST", f"{self.intake}/v1/signals", headers, list(events))
        return list(answer["signals"])

    async def press(self, link: str) -> None:
        """Press the button behind the link of a page. Raises UNHEARD; safe to repeat."""
        try:
            async with self.http.post(link) as answer:
                await _refuse(answer)
        except aiohttp.InvalidURL:
            raise NotYet("the link in the page is no address that can be called") from None

    async def story(self, incident: str) -> Json:
        """The incident as reporting tells it. Raises UNHEARD."""
        return await self._json("GET", f"{self.reporting}/v1/incidents/{incident}", {}, None)

    async def _json(self, method: str, url: str, headers: Mapping[str, str], document: Any) -> Json:
        async with self.http.request(method, url, headers=headers, json=document) as answer:
            await _refuse(answer)
            return dict(await answer.json())


async def _refuse(answer: aiohttp.ClientResponse) -> None:
    if answer.status >= 300:
        # The path of a link is a credential: of what refused it only the host is said.
        raise NotYet(
            f"{answer.url.origin()} answered {answer.status}{_words(await answer.content.read(_MAX_PROBLEM))}"
        )


def _words(body: bytes) -> str:
    """The detail of a problem+json, to be put behind a status."""
    try:
        return f": {orjson.loads(body)['detail'][:_MAX_WORDS]}"
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return ""
