"""The canary's webhook receiver: verifies pages and hands on the one that a round waits for."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass

import orjson
from pydantic import BaseModel, ValidationError

from deploy.signatures import Verifier

MAX_BYTES = 256 * 1024


class PageData(BaseModel):
    """The fields of a page that the canary reads."""

    incident_id: str
    incident: str
    summary: str
    acknowledge_url: str


class Body(BaseModel):
    """A page in the layout of Standard Webhooks."""

    data: PageData


@dataclass(frozen=True, slots=True)
class ReceivedPage:
    """A page, and when it was received on the clock of `time.perf_counter`."""

    page: PageData
    received_at: float


class PageReceiver:
    """`invalid_signatures` counts pages without a valid signature since the last `expect`."""

    def __init__(self, webhook_secrets: str) -> None:
        self._verifier = Verifier(webhook_secrets)
        self._expected: dict[str, asyncio.Future[ReceivedPage]] = {}
        self.invalid_signatures = 0

    def expect(self, summary: str) -> "asyncio.Future[ReceivedPage]":
        """A future for the page with this summary. It replaces the previous expectation."""
        self.invalid_signatures = 0
        self._expected = {summary: asyncio.get_running_loop().create_future()}
        return self._expected[summary]

    def receive(self, headers: Mapping[str, str], body: bytes) -> int:
        """The HTTP status to answer with. A page that no round expects is accepted too: it did
        arrive.
        """
        received_at = time.perf_counter()
        if not self._verifier.verifies(headers, body):
            self.invalid_signatures += 1
            return 401
        try:
            page = Body.model_validate(orjson.loads(body)).data
        except (ValidationError, orjson.JSONDecodeError):
            return 400
        expected = self._expected.get(page.summary)
        if expected and not expected.done():
            expected.set_result(ReceivedPage(page, received_at))
        return 204
