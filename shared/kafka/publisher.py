"""Sends messages to Kafka, in order per key, and reports which of them were taken."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    KafkaError,
    MessageSizeTooLargeError,
    ProducerFenced,
    RecordListTooLargeError,
    TopicAuthorizationFailedError,
)

from shared.events.message import OutboxMessage
from shared.events.trace_context import TraceContext, trace_in
from shared.kafka.partitioner import partition_of
from shared.kafka.security import PLAINTEXT, Security
from shared.telemetry import batch_span

TOO_LARGE_ERRORS = (MessageSizeTooLargeError, RecordListTooLargeError)
_TRANSACTION_MILLISECONDS = 15_000  # how long a leader that died in a transaction blocks readers
_REQUEST_MILLISECONDS = 15_000
_MAX_BATCH_BYTES = 65_536


class Result(Enum):
    """Outcome of sending one message."""

    SENT = auto()
    TOO_LARGE = auto()
    """Kafka will never take it."""
    NOT_SENT = auto()
    """It was not acknowledged. It may stand in the log nevertheless."""


@dataclass(frozen=True, slots=True)
class Report:
    """One result per message. With an `error` the publisher must be replaced: the broker refuses
    what follows a gap in a producer's sequence numbers.
    """

    results: Sequence[Result]
    error: KafkaError | None = None


class Publisher:
    """One producer: idempotent, so its own retries neither reorder nor double a partition.

    Without `fence` nothing keeps another producer of the same messages, such as that of a leader
    that was frozen, from sending them again. With a `fence` (a transactional id) starting it shuts
    out every other producer with that id, and messages that are published together are committed
    together.
    """

    def __init__(
        self,
        bootstrap: str,
        client_id: str,
        topic_prefix: str = "",
        fence: str | None = None,
        *,
        security: Security = PLAINTEXT,
    ) -> None:
        self._prefix = topic_prefix
        self._fence = fence
        self._producer = AIOKafkaProducer(
            bootstrap_servers=bootstrap,
            client_id=client_id,
            enable_idempotence=True,
            acks="all",
            transactional_id=fence,
            transaction_timeout_ms=_TRANSACTION_MILLISECONDS,
            request_timeout_ms=_REQUEST_MILLISECONDS,
            max_batch_size=_MAX_BATCH_BYTES,
            partitioner=partition_of,
            **security.options(),
        )

    async def start(self) -> None:
        """Connect. Raises KafkaError."""
        await self._producer.start()

    async def stop(self) -> None:
        """Send what is in flight, then disconnect. Does not end while Kafka is away."""
        await self._producer.stop()

    async def publish(self, messages: Sequence[OutboxMessage]) -> Report:
        """Send all of them and wait for the acknowledgements. Raises ProducerFenced."""
        results = [Result.NOT_SENT] * len(messages)
        try:
            with _spans(messages):
                async with self._transaction():
                    results, error = await self._send(messages)
                    if error:
                        raise error
        except ProducerFenced:
            raise
        except KafkaError as error:
            return Report(self._after_failure(results), error)
        return Report(results)

    def _after_failure(self, results: Sequence[Result]) -> Sequence[Result]:
        """A fenced publisher has aborted its transaction: nothing was sent."""
        if self._fence is None:
            return results
        return [Result.NOT_SENT if result is Result.SENT else result for result in results]

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[None]:
        if self._fence is None:
            yield
        else:
            async with self._producer.transaction():
                yield

    async def _send(
        self, messages: Sequence[OutboxMessage]
    ) -> tuple[list[Result], BaseException | None]:
        """Every message's result, and the error of those that the broker refused."""
        results = [Result.NOT_SENT] * len(messages)
        sending: dict[int, asyncio.Future[Any]] = {}
        errors: dict[int, BaseException] = {}
        refused: dict[str, KafkaError] = {}
        for number, message in enumerate(messages):
            if message.topic in refused:
                errors[number] = refused[message.topic]
                continue
            headers = [(name, value.encode()) for name, value in message.headers.items()]
            try:
                sending[number] = await self._producer.send(
                    self._prefix + message.topic, message.value, message.key, headers=headers
                )
            except MessageSizeTooLargeError:  # found before it was queued: the others go on
                results[number] = Result.TOO_LARGE
            except TopicAuthorizationFailedError as error:  # so was this
                errors[number] = refused[message.topic] = error
        answers = await asyncio.gather(*sending.values(), return_exceptions=True)
        for number, answer in zip(sending, answers, strict=True):
            if isinstance(answer, BaseException):
                errors[number] = answer
            else:
                results[number] = Result.SENT
        too_large = [n for n, error in errors.items() if isinstance(error, TOO_LARGE_ERRORS)]
        # Several may be refused for one of them, since messages share record batches.
        if len(too_large) == 1:
            results[too_large[0]] = Result.TOO_LARGE
        first = too_large[:1] or list(errors)[:1]
        return results, errors[first[0]] if first else None


@contextmanager
def _spans(messages: Sequence[OutboxMessage]) -> Iterator[None]:
    links: dict[str, list[TraceContext]] = {}
    counts: dict[str, int] = {}
    for message in messages:
        counts[message.topic] = counts.get(message.topic, 0) + 1
        if trace := trace_in(message.headers):
            links.setdefault(message.topic, []).append(trace)
    with ExitStack() as spans:
        for topic, count in counts.items():
            spans.enter_context(batch_span("send", topic, count, links.get(topic, [])))
        yield
