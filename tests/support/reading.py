"""What readers get: of a topic, committed records in the order of their partition; of reporting's
API, JSON.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import aiohttp
from aiokafka import AIOKafkaConsumer
from aiokafka.structs import ConsumerRecord

from tests.support.outage import OPENED
from tests.support.running import eventually


class ApiReader:
    """A program that asks reporting's API at `address`; for reporting it is `now`."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self.session, self.address = session, ""
        self.now = OPENED + timedelta(hours=1)

    async def ask(self, path: str, status: int = 200) -> dict[str, Any]:
        """The answer, which has to be of this status."""
        async with self.session.get(self.address + path) as answer:
            body: dict[str, Any] = await answer.json(content_type=None)
            assert answer.status == status, body
            if status >= 400:
                assert answer.content_type == "application/problem+json"
            return body

    async def numbers(self, path: str) -> list[int]:
        """The numbers of the incidents in a list."""
        return [incident["number"] for incident in (await self.ask(path))["incidents"]]


class Reader:
    """Keeps what came so far in `records`."""

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer
        self.records: list[ConsumerRecord[bytes, bytes]] = []

    async def until(
        self, what: str, enough: Callable[[Sequence[ConsumerRecord[bytes, bytes]]], bool]
    ) -> None:
        """Read until the records are `enough`."""

        async def read() -> bool:
            for records in (await self._consumer.getmany(timeout_ms=20)).values():
                self.records += records
            return enough(self.records)

        await eventually(what, read, 60)

    async def values(self, last: bytes, key: bytes = b"key") -> list[bytes | None]:
        """The values of `key` in their order, once `last` is among them. Its partition keeps order,
        so none is late.
        """
        await self.until(
            repr(last), lambda records: any(r.key == key and r.value == last for r in records)
        )
        return [record.value for record in self.records if record.key == key]


@asynccontextmanager
async def reading(bootstrap: str, *topics: str) -> AsyncIterator[Reader]:
    """Read topics (full names) from their beginning, in no group."""
    consumer = AIOKafkaConsumer(
        *topics,
        bootstrap_servers=bootstrap,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        enable_auto_commit=False,
    )
    await consumer.start()
    try:
        yield Reader(consumer)
    finally:
        await consumer.stop()
