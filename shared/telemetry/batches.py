"""Batches to and from Kafka: a span, a duration and a count for each."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter
from typing import Literal

from shared.events.trace_context import TraceContext
from shared.telemetry.attributes import BATCH_COUNT, OPERATION, OPERATION_TYPE, SYSTEM, TOPIC
from shared.telemetry.metrics import PROCESSED, PROCESSING, SENDING, SENT
from shared.telemetry.recording import measure_immediately
from shared.telemetry.spans import PROCESS, SEND
from shared.telemetry.tracing import span

Operation = Literal["send", "process"]
_OF = {"send": (SEND, SENT, SENDING), "process": (PROCESS, PROCESSED, PROCESSING)}


@contextmanager
def batch_span(
    operation: Operation, topic: str, count: int, links: Sequence[TraceContext]
) -> Iterator[None]:
    """A span for `count` messages to or from Kafka, linked to the first 128 of their traces."""
    declared, messages, duration = _OF[operation]
    words = {SYSTEM: "kafka", TOPIC: topic, OPERATION: operation, OPERATION_TYPE: operation}
    began, failed = perf_counter(), ""
    try:
        with span(
            declared, attributes={**words, BATCH_COUNT: count}, links=list(dict.fromkeys(links))
        ):
            yield
    except BaseException as error:
        failed = type(error).__qualname__
        raise
    finally:
        # At once: it is about the work, which was done also where its transaction is rolled back.
        measure_immediately(messages, count, "kafka", operation, topic, failed)
        measure_immediately(duration, perf_counter() - began, "kafka", operation, topic, failed)
