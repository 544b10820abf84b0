"""One service's subscription: FastStream polls in batches, Postgres keeps the offsets."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, cast

from aiokafka.errors import KafkaError, UnknownTopicOrPartitionError
from faststream import AckPolicy
from faststream.kafka import KafkaBroker

from shared.kafka.consumption.assignment import Assignment
from shared.kafka.consumption.consumer import Consumer
from shared.kafka.consumption.header_names import tolerate_header_names
from shared.kafka.consumption.polled import PolledBatch
from shared.kafka.consumption.worker import Worker
from shared.kafka.diagnosis import explain
from shared.kafka.handler import Cleanse, Decider, Handler
from shared.kafka.security import Cluster
from shared.postgres.database import Database
from shared.postgres.isolation import never_poison
from shared.postgres.wake import wait_at_most
from shared.runtime.backoff import Backoff
from shared.runtime.clock import Clock
from shared.telemetry import Level

log = logging.getLogger(__name__)
_MAX_RECORDS = 500
# How long FastStream sleeps after a poll that found nothing. A poll waits longer, see Consumer.
_POLL_MILLISECONDS = 1
# A partition whose records were taken late, from behind a long batch, is fetched again only when
# the fetch of the others has ended: this is the longest that it can wait for that.
_FETCH_MILLISECONDS = 100
_LINGER_BYTES = 1 << 20
# After this a topic that was recreated, or has more partitions, is noticed.
_METADATA_SECONDS = 30.0
# A member learns of a rebalance, which waits for it, with its next heartbeat.
_HEARTBEAT_MILLISECONDS = 1000
_GRACE_SECONDS = 8
_RECONNECT_SECONDS = 1.0
_WATCH_SECONDS = 2.0


class Consumption:
    """A component: consumes topics for one service until cancelled, and waits while Kafka or
    Postgres is away.

    `group` is the service's name; the consumer group is that with the prefix before it, as are
    the topics. `handlers` maps topics (without prefix) to what works on them; in a batch the
    handlers run in this order, and one that is given for several topics gets their records
    together. `deciders` do the same work for the topics that have one, without a transaction where
    no locks are needed. `cleanse` has, by topic, what takes out of dead letters what must not be
    kept. `linger` (seconds) lets records gather at the broker, for fewer and larger
    batches. `instance_id`, unique among live processes and the same after a restart, lets a killed
    process have its partitions back at once instead of after the session time-out of 10 s. Without
    `kafka_required` the service has work that goes on while Kafka is away: then only what is
    stopped counts as a problem, and what keeps it from Kafka is listed as degraded.
    """

    def __init__(
        self,
        database: Database,
        cluster: Cluster,
        *,
        group: str,
        handlers: Mapping[str, Handler],
        deciders: Mapping[str, Decider] | None = None,
        cleanse: Mapping[str, Cleanse] | None = None,
        clock: Clock,
        linger: float = 0.0,
        instance_id: str | None = None,
        kafka_required: bool = True,
    ) -> None:
        self._database = database
        self._cluster = cluster
        self._group = cluster.prefix + group
        self._topics = [cluster.prefix + topic for topic in handlers]
        self._linger = linger
        self._instance_id = instance_id
        self._kafka_required = kafka_required
        self._worker = Worker(database, handlers, group, clock, deciders, cleanse)
        self._assignment: Assignment | None = None
        self._unconnected = "waits for Kafka and the topics that are read"
        self._cut_off = ""  # since it was connected
        self._backoff = Backoff()

    async def run(self) -> None:
        """Consume until cancelled; then finish the batch in hand, for at most 8 s."""
        tolerate_header_names()
        while True:
            broker, self._assignment = self._build()
            try:
                # FastStream has no public way to say which class reads.
                builder = cast("partial[Any]", await broker.connect())
                broker.config.broker_config.builder = partial(
                    Consumer,
                    self._assignment,
                    **builder.keywords | self._cluster.security.options(),
                )
                await broker.start()
                self._unconnected = ""
                await self._watch(self._assignment)
            except (KafkaError, OSError) as error:
                found = await explain(error, self._cluster.bootstrap, self._cluster.security)
                reason = str(found or _reason(error))
                self._unconnected = f"not connected to Kafka ({reason})"
                log.warning("cannot start consuming", extra={"error": reason})
            finally:
                self._cut_off = ""
                await self._assignment.close()
                with suppress(KafkaError, OSError):
                    await broker.stop()
                self._assignment.on_partitions_revoked(set())
            await asyncio.sleep(_RECONNECT_SECONDS)

    async def _watch(self, assignment: Assignment) -> None:
        """Say what keeps the consumer from Kafka, until it has to be replaced. aiokafka itself
        fails no poll then, and connects again for ever.
        """
        while not assignment.broken.is_set():
            error = assignment.unchecked
            access = self._cluster.bootstrap, self._cluster.security
            reason = await explain(error, *access) if error else None
            self._cut_off = str(reason or "")
            await wait_at_most(_WATCH_SECONDS, assignment.broken)

    def problems(self) -> list[str]:
        """Why this service does not consume, or not all of it; empty when it does."""
        if not self._kafka_required:
            return self._assignment.stopped() if self._assignment else []
        return self._all_problems()

    def degraded(self) -> list[str]:
        """What keeps it from Kafka, where the service goes on without."""
        cut_off = [self._cut_off] if self._cut_off else []
        problems = self.problems()
        return cut_off + [reason for reason in self._all_problems() if reason not in problems]

    def _all_problems(self) -> list[str]:
        if self._unconnected or self._assignment is None:
            return [self._unconnected]
        return self._assignment.problems()

    def health(self) -> dict[str, Any]:
        """The problems, and the lag by partition."""
        return {
            "problems": self.problems(),
            "lag": self._assignment.lag() if self._assignment else {},
        }

    def levels(self) -> list[Level]:
        """Of the partitions that this process owns."""
        return self._assignment.levels() if self._assignment else []

    def _build(self) -> tuple[KafkaBroker, Assignment]:
        broker = self._make_broker()
        assignment = Assignment(
            self._database,
            lambda: subscriber.consumer,
            self._cluster.prefix,
            self._cluster.security,
        )
        subscriber = broker.subscriber(
            *self._topics,
            batch=True,
            max_records=_MAX_RECORDS,
            batch_timeout_ms=_POLL_MILLISECONDS,
            fetch_min_bytes=_LINGER_BYTES if self._linger else 1,
            fetch_max_wait_ms=int(self._linger * 1000) or _FETCH_MILLISECONDS,
            group_id=self._group,
            group_instance_id=self._instance_id,
            heartbeat_interval_ms=_HEARTBEAT_MILLISECONDS,
            # Not "earliest": every position is sought, and one that the log does not hold must not
            # be skipped silently.
            auto_offset_reset="none",
            # Facts no longer need it, but publishers of signals and commands may use transactions,
            # and one that was taken back must page nobody. Without transactions it costs nothing.
            isolation_level="read_committed",
            ack_policy=AckPolicy.NACK_ON_ERROR,
            listener=assignment,
        )

        # FastStream calls the parser in the same step in which the poll returned its records, with
        # no suspension between: so this is where the stamp is true.
        async def stamp(raw: Sequence[Any]) -> PolledBatch:
            return PolledBatch(raw, await assignment.take(raw), assignment)

        @subscriber(parser=stamp, decoder=_identity)
        async def on_batch(polled: PolledBatch) -> None:
            await self._work(polled, assignment)

        return broker, assignment

    def _make_broker(self) -> KafkaBroker:
        # Without types and logger FastStream does nothing per message.
        return KafkaBroker(
            self._cluster.bootstrap,
            client_id=self._group,
            consumer_only=True,
            allow_auto_create_topics=False,
            metadata_max_age_ms=int(_METADATA_SECONDS * 1000),
            graceful_timeout=_GRACE_SECONDS,
            apply_types=False,
            logger=None,
        )

    async def _work(self, polled: PolledBatch, assignment: Assignment) -> None:
        """Raises only when nothing was committed, so that the batch is read again."""
        if not polled.batches:
            return
        try:
            plan = await self._worker.work(polled.batches)
        except Exception as error:
            assignment.failure = f"the last batch failed ({type(error).__qualname__})"
            log.warning(
                "a batch failed and will be read again",
                exc_info=None if never_poison(error) else error,
            )
            await asyncio.sleep(self._backoff.seconds())
            raise
        assignment.failure = ""
        self._backoff.reset()
        polled.done = {tp: offset.next_offset for tp, offset in plan.offsets.items()}
        for batch in polled.batches:
            batch.partition.row = plan.offsets.get(batch.tp, batch.partition.row)
        for batch in plan.stale:
            log.critical(
                "the row of a partition is behind what was read",
                extra={"topic": batch.tp.topic, "partition": batch.tp.partition},
            )
            assignment.reload(batch.partition)


def _reason(error: Exception) -> str:
    """What is wrong, and what to do about it where it is not a matter of time."""
    if isinstance(error, UnknownTopicOrPartitionError):
        return "a topic that is read does not exist: run `tocsin topics apply`"
    return type(error).__qualname__


async def _identity(polled: PolledBatch) -> PolledBatch:
    return polled
