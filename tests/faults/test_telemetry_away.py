"""The telemetry backend hangs or is down: nothing waits for it, and work is as fast as with one
that responds.
"""

import asyncio
import signal
import statistics
import threading
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from services.intake import spans
from shared.telemetry import span, stop_telemetry
from shared.telemetry.tracing import start_tracing
from tests.support.misbehaving import hang, misbehaving, says
from tests.support.policies import policy_files
from tests.support.running import (
    SERVICES,
    Receiver,
    Running,
    Truth,
    alert,
    eventually,
    free_port,
    running,
)
from tests.support.stack import clone_database, drop_database, name_of

MANY = 10_000
"""Spans: several times as many as are queued for a slow backend."""
PAIRS = 5
SLICES = 8
"""Slices of a pair, interleaved, so that other load on the machine affects both."""
ALERTS = 100
"""Alerts of a slice."""
ACCEPTS = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\n"
    b"Content-Length: 0\r\nConnection: close\r\n\r\n"
)


class Hanging(SpanExporter):
    """An exporter whose first export does not return until it is released."""

    def __init__(self) -> None:
        self.called, self.released = threading.Event(), threading.Event()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.called.set()
        self.released.wait()
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """Nothing to release."""


@pytest.fixture
def hanging() -> Iterator[Hanging]:
    exporter = Hanging()
    start_tracing(exporter, Resource.create({}))
    yield exporter
    exporter.released.set()
    stop_telemetry()


def test_no_span_and_no_stop_waits_for_a_backend_that_hangs(hanging: Hanging) -> None:
    for _ in range(MANY):
        with span(spans.REPORT):
            pass
    assert hanging.called.wait(30), "the exporter has spans and does not return"
    for _ in range(MANY):
        with span(spans.REPORT):
            pass
    stop_telemetry()
    assert not hanging.released.is_set(), "everything above happened while the exporter hung"


@asynccontextmanager
async def stack(
    kafka: str, postgres: str, template: str, prefix: str, folder: Path, backend: str
) -> AsyncIterator[tuple[Running, Receiver]]:
    """A Tocsin that exports to this backend."""
    database = await clone_database(postgres, template)
    async with Receiver().listening() as receiver:
        policy = policy_files(receiver.url, '{targets: ["user:anastasia"], wait: 1h}', rounds=1)
        environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": backend}
        try:
            async with running(kafka, database, prefix, folder, policy, **environment) as tocsin:
                yield tocsin, receiver
        finally:
            await drop_database(postgres, name_of(database))


async def work(tocsin: Running, receiver: Receiver, name: str) -> float:
    """One slice of work; returns the seconds from its first request to its last page."""
    expected, began = len(receiver.received) + ALERTS, time.monotonic()

    async def paged() -> Truth:
        return Truth(
            len(receiver.received) >= expected, f"{len(receiver.received)} of {expected} pages"
        )

    for start in range(0, ALERTS, 50):
        await tocsin.signals(*(alert(f"{name} {number}") for number in range(start, start + 50)))
    await eventually("all are paged", paged)
    return time.monotonic() - began


@pytest.mark.parametrize("case", ["hangs", "down"])
async def test_work_is_as_fast_with_a_backend_that_does_not_respond(
    case: str,
    kafka: str,
    postgres: str,
    template: str,
    topic_prefix: str,
    tmp_path: Path,
    long: bool,
) -> None:
    if not long:
        pytest.skip("ratios need an otherwise idle machine: `make faults`")
    for name in ("well", "ill"):
        (tmp_path / name).mkdir()
    async with AsyncExitStack() as entered:
        well = await entered.enter_async_context(misbehaving(says(ACCEPTS)))
        ill = await entered.enter_async_context(misbehaving(hang))
        urls = {
            "well": well.url,
            "ill": ill.url if case == "hangs" else f"http://127.0.0.1:{free_port()}",
        }
        both = [
            await entered.enter_async_context(
                stack(kafka, postgres, template, f"{topic_prefix}{name}.", tmp_path / name, url)
            )
            for name, url in urls.items()
        ]
        ratios = []
        for number in range(-1, PAIRS):  # the first warms up
            seconds = [0.0, 0.0]
            for piece in range(SLICES):
                for which in (0, 1) if piece % 2 else (1, 0):
                    seconds[which] += await work(*both[which], f"{number}.{piece}")
            ratios += [seconds[0] / seconds[1]] if number >= 0 else []
            rates = [f"{SLICES * ALERTS / one:.0f}" for one in seconds]
            print(f"{case}: {', '.join(rates)} alerts a second")
        for tocsin, _ in both:
            async with asyncio.timeout(20):
                await asyncio.gather(
                    *(tocsin.kill(service, signal.SIGTERM) for service in SERVICES)
                )
    assert statistics.median(ratios) >= 0.85, ratios
