"""Where the canary is paged: takes signed webhooks, and hands on the one that is awaited."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass

import orjson
from pydantic import BaseModel, ValidationError

from deploy.signatures import Verifier

MAX_BYTES = 256 * 1024


class PageData(BaseModel):
    """What the canary reads of a page."""

    incident_id: str
    incident: str
    summary: str
    acknowledge_url: str


class Body(BaseModel):
    """A page as Standard Webhooks lays it out."""

    data: PageData


@dataclass(frozen=True, slots=True)
class Arrived:
    """A page, and when it came on the clock of `time.perf_counter`."""

    page: PageData
    at: float


class Pages:
    """`forged` counts those without a valid signature, since the last that was awaited began."""

    def __init__(self, webhook_secrets: str) -> None:
        self._verifier = Verifier(webhook_secrets)
        self._awaited: dict[str, asyncio.Future[Arrived]] = {}
        self.forged = 0

    def expect(self, summary: str) -> "asyncio.Future[Arrived]":
        """The page whose summary this will be. Only one is awaited at a time."""
        self.forged = 0
        self._awaited = {summary: asyncio.get_running_loop().create_future()}
        return self._awaited[summary]

    def take(self, headers: Mapping[str, str], body: bytes) -> int:
        """The HTTP status to answer with. A page that nobody awaits is taken all the same: it did
        arrive.
        """
        at = time.perf_counter()
        if not self._verifier.verifies(headers, body):
            self.forged += 1
            return 401
        try:
            page = Body.model_validate(orjson.loads(body)).data
        except (ValidationError, orjson.JSONDecodeError):
            return 400
        awaited = self._awaited.get(page.summary)
        if awaited and not awaited.done():
            awaited.set_result(Arrived(page, at))
        return 204
