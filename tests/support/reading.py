"""What a reader of a topic gets: committed records, in the order of their partition."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer
from aiokafka.structs import ConsumerRecord

from tests.support.running import eventually


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
