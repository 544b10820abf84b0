"""Publishes a service's outbox: in order per key, at least once.

Rows are read, published, then deleted: no Postgres transaction is open while Kafka is slow, and a
crash at any point leads to the same rows again. The statement that reads the next rows deletes the
published ones; if none come soon, those are deleted by themselves. A leader that was frozen and
resumes may publish its rows after its successor did; readers drop what is not newer than what they
know. Only where the last record of a key counts for good, on a compacted topic, does a fence keep
such a leader out.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from time import monotonic
from typing import Any, TypeVar

from aiokafka.errors import KafkaError, ProducerFenced

from shared.events.trace_context import trace_in
from shared.kafka.access.declarations import outbox_fence
from shared.kafka.dead_letters.writing import count_from, dead_letter
from shared.kafka.diagnosis import explain
from shared.kafka.publisher import TOO_LARGE_ERRORS, Publisher, Report, Result
from shared.kafka.security import Cluster
from shared.postgres.clock import ClockUnknown
from shared.postgres.errors import UNAVAILABLE
from shared.postgres.leadership import PING_SECONDS, Leadership, compete
from shared.postgres.outbox import (
    OutboxRow,
    advance_outbox,
    delete_outbox,
    load_oldest_outbox,
    may_have_more,
    replace_outbox,
)
from shared.postgres.wake import wait_at_most
from shared.runtime.backoff import Backoff
from shared.runtime.clock import Clock

log = logging.getLogger(__name__)
T = TypeVar("T")

_BATCH = 1000
# After a large batch the next rows gather, for no longer than that batch took: a busy broker is
# asked less often for more. Small batches mean that there is time, so no page waits.
_LARGE_BATCH = 8
_MAX_GATHER_SECONDS = 0.02
# How long published rows wait for a read that deletes them as well.
_DELETE_SECONDS = 0.05
_STOP_SECONDS = 2
_OVERDUE = timedelta(seconds=60)


def relay_role(service: str) -> str:
    """What the leader among the replicas of a service leads."""
    return f"{service} relay"


class Relay:
    """A component. Every replica has one; the one that leads publishes.

    `fenced`: publish in Kafka transactions under a transactional id, for compacted topics.
    `linger` (seconds): let rows gather after every publish, where no page waits for them.
    """

    def __init__(
        self,
        dsn: str,
        cluster: Cluster,
        service: str,
        clock: Clock,
        *,
        fenced: bool = False,
        linger: float = 0.0,
    ) -> None:
        self._dsn = dsn
        self._cluster = cluster
        self._service = service
        self._clock = clock
        self._fence = outbox_fence(cluster.prefix, service) if fenced else None
        self._linger = linger
        self._limit = _BATCH
        self._oldest: datetime | None = None
        self._published: Sequence[OutboxRow] = ()
        self._refusal = ""
        self._stopping: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Compete, lead, and compete again, until cancelled."""
        count_from("outbox")
        backoff = Backoff()
        while True:
            try:
                async with compete(
                    self._dsn, relay_role(self._service), f"{self._service}.outbox"
                ) as leadership:
                    backoff.reset()
                    await self._lead(leadership)
            except ProducerFenced:
                log.warning("fenced: another relay leads, or Kafka was away for long")
            except UNAVAILABLE as error:
                log.warning("the relay has no database", extra={"error": type(error).__qualname__})
            finally:
                # Of a session that has ended, whoever leads next reads and publishes these again.
                self._oldest, self._published, self._refusal = None, (), ""
            await asyncio.sleep(backoff.seconds())

    def problems(self) -> list[str]:
        """Why Kafka refuses the leader, and what it has not been able to publish for a minute."""
        found = [self._refusal] if self._refusal else []
        if (waited := self._waited()) >= _OVERDUE:
            seconds = waited.total_seconds()
            found.append(f"the oldest event has waited {seconds:.0f} s to be published")
        return found

    def _waited(self) -> timedelta:
        try:
            return self._clock() - self._oldest if self._oldest else timedelta()
        except ClockUnknown:
            return timedelta()

    async def _lead(self, leadership: Leadership) -> None:
        backoff = Backoff()
        while True:
            try:
                async with self._publisher(leadership) as publisher, self._deleting(leadership):
                    while True:
                        await self._forward(leadership, publisher)
                        backoff.reset()
            except ProducerFenced:
                raise
            except TOO_LARGE_ERRORS:
                continue  # fewer rows at once, by a new producer
            except KafkaError as error:
                pause = backoff.seconds()
                reason = await self._during(
                    leadership, explain(error, self._cluster.bootstrap, self._cluster.security)
                )
                self._refusal = str(reason) if reason and not reason.away else ""
                said = {"error": str(reason or repr(error)), "seconds": pause}
                log.warning("cannot publish, trying again", extra=said)
                await self._during(leadership, asyncio.sleep(pause))

    async def _forward(self, leadership: Leadership, publisher: Publisher) -> None:
        """Publish the first rows, then wait until there may be others."""
        leadership.woken.clear()
        limit, began = self._limit, monotonic()
        rows = await advance_outbox(leadership.connection, self._published, limit)
        self._published = ()
        if rows:
            report = await self._during(
                leadership, publisher.publish([row.message for row in rows])
            )
            await self._settle(leadership, rows, report)
        self._oldest, self._refusal = None, ""
        self._limit = min(limit * 2, _BATCH)
        if may_have_more(rows, limit):
            return
        await self._gather(leadership, pause_after(len(rows), monotonic() - began, self._linger))
        # What was written since the rows were read has set this already: no second query is needed.
        await leadership.wait()

    async def _gather(self, leadership: Leadership, pause: float) -> None:
        """Let rows gather. The published ones are left to the next read if that comes soon."""
        began = monotonic()
        await wait_at_most(_DELETE_SECONDS, leadership.woken)
        if not leadership.woken.is_set():
            await self._delete_published(leadership)
        await asyncio.sleep(max(pause - (monotonic() - began), 0))

    async def _settle(
        self, leadership: Leadership, rows: Sequence[OutboxRow], report: Report
    ) -> None:
        """Keep what was published for the next deletion, replace what never can be. Raises the
        report's error.
        """
        self._published = list(published(rows, report.results))
        for row, result in zip(rows, report.results, strict=True):
            if result is Result.TOO_LARGE:
                await self._dead_letter(leadership, row)
                leadership.woken.set()
        if isinstance(report.error, TOO_LARGE_ERRORS):
            self._limit = max((len(rows) - len(self._published)) // 2, 1)
        if report.error:
            raise report.error

    async def _delete_published(self, leadership: Leadership) -> None:
        if self._published:
            await delete_outbox(leadership.connection, self._published)
            self._published = ()

    @asynccontextmanager
    async def _deleting(self, leadership: Leadership) -> AsyncIterator[None]:
        """Do not leave published rows behind when the work inside ends, for a stop or for Kafka."""
        try:
            yield
        finally:
            # An error here must hide neither the one that ended the work nor a cancellation. If the
            # session has ended, its rows are published again by whoever leads next.
            with suppress(*UNAVAILABLE):
                async with asyncio.timeout(_STOP_SECONDS):
                    await self._delete_published(leadership)

    async def _dead_letter(self, leadership: Leadership, row: OutboxRow) -> None:
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
    async def _publisher(self, leadership: Leadership) -> AsyncIterator[Publisher]:
        # Starting one with a fence shuts out every other: only who still has its session may.
        self._oldest = await load_oldest_outbox(leadership.connection)
        cluster, client_id = self._cluster, f"tocsin-{self._service}-relay"
        publisher = Publisher(
            cluster.bootstrap, client_id, cluster.prefix, self._fence, security=cluster.security
        )
        try:
            await self._during(leadership, publisher.start())
            yield publisher
        finally:
            # Without Kafka a stop with messages in flight does not end: let it wait.
            stopping = asyncio.create_task(publisher.stop())
            self._stopping.add(stopping)
            stopping.add_done_callback(self._stopping.discard)
            await asyncio.wait({stopping}, timeout=_STOP_SECONDS)

    async def _during(self, leadership: Leadership, work: Coroutine[Any, Any, T]) -> T:
        """Wait for Kafka, and keep the session alive meanwhile. The work ends with the session."""
        task = asyncio.create_task(work)
        try:
            while not (await asyncio.wait({task}, timeout=PING_SECONDS))[0]:
                self._oldest = await load_oldest_outbox(leadership.connection)
            return task.result()
        finally:
            task.cancel()
            await asyncio.wait({task}, timeout=_STOP_SECONDS)


def pause_after(count: int, seconds: float, linger: float = 0.0) -> float:
    """How long rows gather after `count` of them were published in so many seconds."""
    gather = min(seconds, _MAX_GATHER_SECONDS) if count >= _LARGE_BATCH else 0.0
    return max(gather, linger) if count else 0.0


def published(rows: Sequence[OutboxRow], results: Sequence[Result]) -> Iterator[OutboxRow]:
    """What need not be sent again: all that was taken, unless something before it with the same key
    was not. That goes first, and what followed goes after it once more.
    """
    missing = set()
    for row, result in zip(rows, results, strict=True):
        key = (row.message.topic, row.message.key)
        if result is Result.NOT_SENT:
            missing.add(key)
        elif result is Result.SENT and key not in missing:
            yield row
