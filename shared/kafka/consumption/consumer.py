"""aiokafka's consumer, made to fail one partition at a time and never to lose what it had already
taken.
"""

import asyncio
import logging
import random
from collections.abc import Mapping
from typing import Any, Protocol

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import (
    ConsumerStoppedError,
    CorruptRecordException,
    KafkaError,
    OffsetOutOfRangeError,
)

from shared.kafka.consumption.header_names import forgive_header_names

forgive_header_names()
log = logging.getLogger(__name__)
_RETRY_SECONDS = 1.0
_MAX_FAILED = 30
_WAIT_MILLISECONDS = 1000
_PROBE_MILLISECONDS = 200
_COMMIT_SECONDS = 2.0
_UNREADABLE = (UnicodeDecodeError, CorruptRecordException)

Polled = dict[TopicPartition, list[Any]]


class Owner(Protocol):
    """Who follows the partitions of a consumer."""

    def rewind_all(self) -> None:
        """Seek every partition that is read back to where it stands."""

    def look(self) -> None:
        """Compare the logs with the positions now."""

    def give_up(self) -> None:
        """Replace the consumer."""

    def unreadable(self, handle: TopicPartition, offset: int, error: Exception) -> None:
        """No record can be read at this offset."""


class Consumer(AIOKafkaConsumer):  # type: ignore[misc]
    """A consumer whose `getmany` raises nothing that FastStream would swallow, nor anything that
    would end its loop.

    When one partition fails, aiokafka drops what it took from others in the same poll, though it
    has moved past it: so after every failure all positions are sought again.
    """

    def __init__(self, owner: Owner, **options: Any) -> None:
        super().__init__(**options)
        self._owner = owner
        self.trouble = ""
        self._failed = 0

    async def getmany(
        self, *partitions: TopicPartition, timeout_ms: int = 0, max_records: int | None = None
    ) -> Polled:
        """As aiokafka's. An empty answer may also mean trouble, which is then named in `trouble`."""
        # FastStream sleeps after an empty poll, deaf to what arrives: so empty polls had better be
        # few.
        wait = max(timeout_ms, _WAIT_MILLISECONDS)
        try:
            polled = await self._poll(*partitions, timeout_ms=wait, max_records=max_records)
        except ConsumerStoppedError:
            raise
        except KafkaError as error:
            await self._suffer(error)
            return {}
        self.trouble, self._failed = "", 0
        return polled

    async def _suffer(self, error: KafkaError) -> None:
        self.trouble, self._failed = type(error).__qualname__, self._failed + 1
        log.warning("a poll failed", extra={"error": self.trouble})
        self._owner.rewind_all()
        if isinstance(error, OffsetOutOfRangeError):
            self._owner.look()
        if self._failed == _MAX_FAILED:
            self._owner.give_up()  # a broker that is away fails no poll: this is aiokafka out of order
        await asyncio.sleep(_RETRY_SECONDS)

    async def _poll(self, *partitions: TopicPartition, **options: Any) -> Polled:
        try:
            polled: Polled = await super().getmany(*partitions, **options)
        except _UNREADABLE:
            self._owner.rewind_all()
            return await self._poll_singly(options["max_records"] or 1)
        return polled

    async def _poll_singly(self, max_records: int) -> Polled:
        """From one partition, one at a time, what comes before the record that cannot be read.
        Finds its offset too.
        """
        handles = list(self.assignment() - self.paused())
        random.shuffle(handles)  # a busy one must not keep the faulty one from being found
        for handle in handles:
            records: list[Any] = []
            try:
                records += (
                    await super().getmany(handle, timeout_ms=_PROBE_MILLISECONDS, max_records=1)
                ).get(handle, [])
                # From here on nothing may be waited for: these records are of this assignment only.
                while 0 < len(records) < max_records and (
                    more := await super().getmany(handle, max_records=1)
                ):
                    records += more[handle]
            except _UNREADABLE as error:
                if not records:
                    self._owner.unreadable(handle, await self.position(handle), error)
            if records:
                return {handle: records}
        return {}


async def commit(consumer: AIOKafkaConsumer, offsets: Mapping[TopicPartition, int]) -> None:
    """Tell Kafka where the rows stand, for lag monitors and for the check on assignment. Best
    effort.
    """
    try:
        async with asyncio.timeout(_COMMIT_SECONDS):
            await consumer.commit(dict(offsets))
    except (KafkaError, TimeoutError) as error:
        log.info("Kafka did not take the commit", extra={"error": type(error).__qualname__})
