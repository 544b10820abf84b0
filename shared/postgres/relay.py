"""Publishes a service's outbox: in order per key, at least once, and nothing of an old leader after
its successor.

Rows are read, published in one Kafka transaction, then deleted: no Postgres transaction is open
while Kafka is slow, and a crash at any point leads to the same rows again. The transactional id is
the fence: a new leader's producer shuts out that of a leader which was frozen, and rows are only
read after the producer that publishes them was started.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import ExitStack, asynccontextmanager
from datetime import datetime, timedelta
from time import monotonic
from typing import Any, TypeVar

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    KafkaError,
    MessageSizeTooLargeError,
    ProducerFenced,
    RecordListTooLargeError,
)

from shared.events.trace_context import TraceContext, trace_in
from shared.kafka.dead_letters.writing import count_from, dead_letter
from shared.postgres.errors import UNAVAILABLE
from shared.postgres.leadership import PING_SECONDS, Leadership, compete
from shared.postgres.outbox import (
    OutboxRow,
    delete_outbox,
    list_outbox,
    load_oldest_outbox,
    replace_outbox,
)
from shared.runtime.backoff import Backoff
from shared.runtime.clock import Clock
from shared.telemetry import batch_span

log = logging.getLogger(__name__)
T = TypeVar("T")

_BATCH = 1000
# After publishing, the next rows are left to gather: a transaction costs the broker, its readers
# and their databases the same for one message as for fifty, and what they have no time for makes a
# page later than this does.
_GATHER_SECONDS = 0.02
_MOST_GATHER_SECONDS = 0.2
_TRANSACTION_MILLISECONDS = 15_000  # what a leader that died in the middle can hold up readers for
_REQUEST_MILLISECONDS = 15_000
_STOP_SECONDS = 2
_OVERDUE = timedelta(seconds=60)


class _TooLarge(Exception):
    """Kafka does not take these rows together (they may share a record batch); a single one it will
    never take.
    """

    def __init__(self, rows: Sequence[OutboxRow]) -> None:
        super().__init__(len(rows))
        self.rows = rows


class Relay:
    """A component. Every replica has one; the one that leads publishes. `dsn` must be direct,
    without a pooler.

    `gather` (seconds) is how long rows are left to gather after others were published: longer where
    no page waits.
    """

    def __init__(
        self,
        dsn: str,
        bootstrap: str,
        service: str,
        clock: Clock,
        topic_prefix: str = "",
        gather: float = _GATHER_SECONDS,
    ) -> None:
        self._dsn = dsn
        self._bootstrap = bootstrap
        self._service = service
        self._clock = clock
        self._prefix = topic_prefix
        self._gather = gather
        self._limit = _BATCH
        self._oldest: datetime | None = None
        self._stopping: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Compete, lead, and compete again, until cancelled."""
        count_from("outbox")
        backoff = Backoff()
        while True:
            try:
                async with compete(
                    self._dsn, f"{self._service} relay", f"{self._service}.outbox"
                ) as leadership:
                    backoff.reset()
                    await self._lead(leadership)
            except ProducerFenced:
                log.warning("fenced: another relay leads, or Kafka was away for long")
            except UNAVAILABLE as error:
                log.warning("the relay has no database", extra={"error": type(error).__qualname__})
            finally:
                self._oldest = None
            await asyncio.sleep(backoff.seconds())

    def problems(self) -> list[str]:
        """What the leader has not been able to publish for a minute."""
        if self._oldest is None or (waited := self._clock() - self._oldest) < _OVERDUE:
            return []
        return [f"the oldest event waits to be published since {waited.total_seconds():.0f} s"]

    async def _lead(self, leadership: Leadership) -> None:
        backoff = Backoff()
        while True:
            try:
                async with self._producer(leadership) as producer:
                    while True:
                        await self._forward(leadership, producer)
                        backoff.reset()
            except ProducerFenced:
                raise
            except _TooLarge as refused:
                self._limit = max(len(refused.rows) // 2, 1)
                if len(refused.rows) == 1:
                    await self._give_up(leadership, refused.rows[0])
            except KafkaError as error:
                pause = backoff.seconds()
                log.warning(
                    "cannot publish, trying again", extra={"error": repr(error), "seconds": pause}
                )
                await self._during(leadership, asyncio.sleep(pause))

    async def _forward(self, leadership: Leadership, producer: AIOKafkaProducer) -> None:
        """Publish and delete the first rows; when there are none, wait for some."""
        leadership.woken.clear()
        limit = self._limit
        rows = await list_outbox(leadership.connection, limit)
        if rows:
            began = monotonic()
            await self._during(leadership, self._publish(producer, rows))
            await delete_outbox(leadership.connection, rows)
            if len(rows) < limit:
                # As long again as it took: what is short of time sends less often, and more at
                # once. But not as long as Kafka was away.
                await asyncio.sleep(
                    min(max(self._gather, monotonic() - began), _MOST_GATHER_SECONDS)
                )
        self._oldest, self._limit = None, min(limit * 2, _BATCH)
        if not rows:
            await leadership.wait()

    async def _publish(self, producer: AIOKafkaProducer, rows: Sequence[OutboxRow]) -> None:
        with ExitStack() as spans:
            for topic, links in _links(rows).items():
                count = sum(row.message.topic == topic for row in rows)
                spans.enter_context(batch_span("send", topic, count, links))
            async with producer.transaction():
                await self._send(producer, rows)

    async def _send(self, producer: AIOKafkaProducer, rows: Sequence[OutboxRow]) -> None:
        futures = []
        for row in rows:
            message = row.message
            headers = [(name, value.encode()) for name, value in message.headers.items()]
            try:
                futures.append(
                    await producer.send(
                        self._prefix + message.topic, message.value, message.key, headers=headers
                    )
                )
            except MessageSizeTooLargeError as error:
                raise _TooLarge([row]) from error
        try:
            await asyncio.gather(*futures)
        except (MessageSizeTooLargeError, RecordListTooLargeError) as error:
            raise _TooLarge(rows) from error

    async def _give_up(self, leadership: Leadership, row: OutboxRow) -> None:
        """Put a dead letter in the place of a message that would hold up all those behind it."""
        message = row.message
        log.error(
            "a message is too large for Kafka", extra={"topic": message.topic, "outbox_id": row.id}
        )
        letter = dead_letter(
            self._service,
            f"too large for {message.topic}: {len(message.value or b'')} bytes",
            origin=f"outbox {message.topic}",
            now=self._clock(),
            trace=trace_in(message.headers),
            key=message.key.decode(errors="replace"),
        )
        await replace_outbox(leadership.connection, row, letter)

    @asynccontextmanager
    async def _producer(self, leadership: Leadership) -> AsyncIterator[AIOKafkaProducer]:
        # Starting one shuts out every other: only who still has its session may.
        self._oldest = await load_oldest_outbox(leadership.connection)
        # A new one after every failure: a refused batch leaves a gap in a producer's sequence
        # numbers.
        producer = AIOKafkaProducer(
            bootstrap_servers=self._bootstrap,
            client_id=f"tocsin-{self._service}-relay",
            transactional_id=f"{self._prefix}{self._service}-outbox-0",
            transaction_timeout_ms=_TRANSACTION_MILLISECONDS,
            request_timeout_ms=_REQUEST_MILLISECONDS,
            max_batch_size=65_536,
        )
        try:
            await self._during(leadership, producer.start())
            yield producer
        finally:
            # Without Kafka a stop with messages in flight does not end. They can never be
            # committed: let it wait.
            stopping = asyncio.create_task(producer.stop())
            self._stopping.add(stopping)
            stopping.add_done_callback(self._stopping.discard)
            await asyncio.wait({stopping}, timeout=_STOP_SECONDS)

    async def _during(self, leadership: Leadership, work: Coroutine[Any, Any, T]) -> T:
        """Wait for Kafka, and keep the session alive while it takes its time. The work ends with
        the session.
        """
        task = asyncio.create_task(work)
        try:
            while not (await asyncio.wait({task}, timeout=PING_SECONDS))[0]:
                self._oldest = await load_oldest_outbox(leadership.connection)
            return task.result()
        finally:
            task.cancel()
            await asyncio.wait({task}, timeout=_STOP_SECONDS)


def _links(rows: Sequence[OutboxRow]) -> dict[str, list[TraceContext]]:
    """The traces whose messages go to each topic."""
    links: dict[str, list[TraceContext]] = {}
    for row in rows:
        found = links.setdefault(row.message.topic, [])
        if trace := trace_in(row.message.headers):
            found.append(trace)
    return links
