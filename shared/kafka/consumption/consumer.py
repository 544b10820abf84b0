"""aiokafka's consumer, made to fail one partition at a time and never to lose what it had already
taken.
"""

import asyncio
import logging
import random
from collections.abc import Mapping
from typing import Any, Protocol

from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as KafkaTopicPartition
from aiokafka.errors import (
    ConsumerStoppedError,
    CorruptRecordException,
    KafkaError,
    OffsetOutOfRangeError,
)

from shared.kafka.consumption.leaving import leave_when_closed

log = logging.getLogger(__name__)
_RETRY_SECONDS = 1.0
_MAX_FAILURES = 30
_WAIT_MILLISECONDS = 1000
_PROBE_MILLISECONDS = 200
_COMMIT_SECONDS = 2.0
_UNREADABLE = (UnicodeDecodeError, CorruptRecordException)

Polled = dict[KafkaTopicPartition, list[Any]]


class Owner(Protocol):
    """Who follows the partitions of a consumer."""

    def rewind_all(self) -> None:
        """Seek every partition that is read back to its cursor."""

    def check_logs(self) -> None:
        """Compare the logs with the rows now."""

    def replace_consumer(self) -> None:
        """Build another consumer."""

    def refusal(self, error: Exception) -> str:
        """What Kafka refuses, in words; "" if the error is of another kind."""

    def unreadable(self, handle: KafkaTopicPartition, offset: int, error: Exception) -> None:
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
        self._failures = 0

    async def start(self) -> None:
        """As aiokafka's."""
        await super().start()
        if self._group_instance_id:
            leave_when_closed(self._coordinator)

    async def getmany(
        self, *partitions: KafkaTopicPartition, timeout_ms: int = 0, max_records: int | None = None
    ) -> Polled:
        """As aiokafka's. An empty answer may be a failure, which is then named in `trouble`."""
        # FastStream sleeps after an empty poll, whatever arrives meanwhile: let empty polls be few.
        wait = max(timeout_ms, _WAIT_MILLISECONDS)
        try:
            polled = await self._poll(*partitions, timeout_ms=wait, max_records=max_records)
        except ConsumerStoppedError:
            raise
        except KafkaError as error:
            await self._failed_poll(error)
            return {}
        self.trouble, self._failures = "", 0
        return polled

    async def _failed_poll(self, error: KafkaError) -> None:
        self.trouble = self._owner.refusal(error) or type(error).__qualname__
        self._failures += 1
        log.warning("a poll failed", extra={"error": self.trouble})
        self._owner.rewind_all()
        if isinstance(error, OffsetOutOfRangeError):
            self._owner.check_logs()
        if self._failures == _MAX_FAILURES:
            # A broker that is away fails no poll: this is a fault within aiokafka.
            self._owner.replace_consumer()
        await asyncio.sleep(_RETRY_SECONDS)

    async def _poll(self, *partitions: KafkaTopicPartition, **options: Any) -> Polled:
        try:
            polled: Polled = await super().getmany(*partitions, **options)
        except _UNREADABLE:
            self._owner.rewind_all()
            return await self._poll_singly(options["max_records"] or 1)
        return polled

    async def _poll_singly(self, max_records: int) -> Polled:
        """Read one partition, a record at a time, up to the record that cannot be read; report the
        offset of that one.
        """
        handles = list(self.assignment() - self.paused())
        random.shuffle(handles)  # so that a busy one does not hide the faulty one
        for handle in handles:
            records: list[Any] = []
            try:
                records += (
                    await super().getmany(handle, timeout_ms=_PROBE_MILLISECONDS, max_records=1)
                ).get(handle, [])
                # No waiting from here on: these records belong to this assignment only.
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


async def commit(consumer: AIOKafkaConsumer, offsets: Mapping[KafkaTopicPartition, int]) -> None:
    """Commit to Kafka where the rows stand, for lag monitors and for the check on assignment. Best
    effort.
    """
    try:
        async with asyncio.timeout(_COMMIT_SECONDS):
            await consumer.commit(dict(offsets))
    except (KafkaError, TimeoutError) as error:
        log.info("the commit to Kafka failed", extra={"error": type(error).__qualname__})
