"""A span's place, links, attributes and end; and that switched off, nothing is made and everything
is handed on.
"""

import asyncio
import os
import threading
from collections.abc import Iterator
from time import monotonic
from types import SimpleNamespace

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from services.escalation.metrics import PAGE_METHOD
from services.escalation.spans import PAGE
from services.intake import spans
from services.intake.spans import REPORT
from shared.events.trace_context import TraceContext, new_trace
from shared.telemetry import (
    batch_span,
    batches,
    configure_telemetry,
    export,
    span,
    stop_telemetry,
    tracing,
)
from shared.telemetry.state import CURRENT

UNSAMPLED = TraceContext("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00", "vendor=1")


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False, sampler=tracing.SAMPLER)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(CURRENT, "tracer_provider", provider)
    yield exporter
    provider.shutdown()


def only(exported: InMemorySpanExporter) -> ReadableSpan:
    (found,) = exported.get_finished_spans()
    return found


def ids(position: TraceContext) -> tuple[str, str]:
    _, trace_id, span_id, _ = position.traceparent.split("-")
    return trace_id, span_id


def test_a_span_hangs_from_its_parent_and_hands_its_own_place_on(
    exported: InMemorySpanExporter,
) -> None:
    with span(REPORT, UNSAMPLED) as outer, span(spans.UPDATE, outer) as inner:
        assert outer is not None
        assert inner is not None
    by_name = {found.name: found for found in exported.get_finished_spans()}
    parents = {
        name: f"{found.parent.span_id:016x}" for name, found in by_name.items() if found.parent
    }
    assert parents == {"report incident": ids(UNSAMPLED)[1], "update incident": ids(outer)[1]}
    assert {ids(position)[0] for position in (outer, inner)} == {ids(UNSAMPLED)[0]}
    assert inner.tracestate == "vendor=1"


def test_an_incident_is_recorded_though_its_publisher_did_not_sample(
    exported: InMemorySpanExporter,
) -> None:
    with span(REPORT, UNSAMPLED) as here:
        assert here is not None
    assert int(here.traceparent[-2:], 16) & 1, "whoever comes after is told so"
    assert only(exported).name == "report incident"


def test_without_a_parent_a_trace_begins_even_inside_another_span(
    exported: InMemorySpanExporter,
) -> None:
    with span(REPORT) as one, span(REPORT) as two:
        assert one is not None
        assert two is not None
    assert one.trace_id != two.trace_id
    assert [found.parent for found in exported.get_finished_spans()] == [None, None]


def test_spans_of_tasks_that_overlap_do_not_become_each_others_parents(
    exported: InMemorySpanExporter,
) -> None:
    async def hold(own: TraceContext, begun: asyncio.Event, other: asyncio.Event) -> None:
        with span(REPORT, own):
            begun.set()
            await other.wait()

    async def both() -> list[TraceContext]:
        parents, a, b = [new_trace(), new_trace()], asyncio.Event(), asyncio.Event()
        await asyncio.gather(hold(parents[0], a, b), hold(parents[1], b, a))
        return parents

    parents = asyncio.run(both())
    seen = {
        f"{found.parent.span_id:016x}" for found in exported.get_finished_spans() if found.parent
    }
    assert seen == {ids(parent)[1] for parent in parents}


def test_a_body_that_raises_leaves_its_type_and_not_a_word_of_what_it_said(
    exported: InMemorySpanExporter,
) -> None:
    with (
        pytest.raises(ValueError, match="hunter2"),
        span(PAGE, attributes={PAGE_METHOD: "webhook"}),
    ):
        raise ValueError("https://user:hunter2@hooks.example/")
    found = only(exported)
    assert found.status.status_code is StatusCode.ERROR
    assert found.status.description is None
    assert dict(found.attributes or {}) == {"tocsin.method": "webhook", "error.type": "ValueError"}
    assert found.events == ()
    assert found.end_time is not None


def test_what_was_cancelled_did_not_succeed(exported: InMemorySpanExporter) -> None:
    with pytest.raises(asyncio.CancelledError), span(PAGE, attributes={PAGE_METHOD: "webhook"}):
        raise asyncio.CancelledError
    assert only(exported).status.status_code is StatusCode.ERROR


@pytest.mark.parametrize(
    ("operation", "kind"), [("send", SpanKind.CLIENT), ("process", SpanKind.CONSUMER)]
)
def test_a_batch_is_a_span_of_its_own_with_at_most_128_different_links(
    operation: batches.Operation, kind: SpanKind, exported: InMemorySpanExporter
) -> None:
    traces = [new_trace() for _ in range(300)]
    with batch_span(operation, "tocsin.intake.v1", 600, [*traces[:1] * 300, *traces]):
        pass
    found = only(exported)
    assert (found.name, found.kind, found.parent) == (f"{operation} tocsin.intake.v1", kind, None)
    assert [f"{link.context.span_id:016x}" for link in found.links] == [
        ids(trace)[1] for trace in traces[:128]
    ]
    assert dict(found.attributes or {}) == {
        "messaging.system": "kafka",
        "messaging.destination.name": "tocsin.intake.v1",
        "messaging.operation.name": operation,
        "messaging.operation.type": operation,
        "messaging.batch.message_count": 600,
    }


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": ""},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_SDK_DISABLED": "true"},
        {
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:9",
            "OTEL_TRACES_EXPORTER": "none",
        },
    ],
)
def test_off_a_span_hands_its_parent_on_and_no_thread_is_started(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    threads = set(threading.enumerate())
    configure_telemetry("intake")
    try:
        with span(REPORT, UNSAMPLED) as here, span(REPORT) as root:
            assert (here, root) == (UNSAMPLED, None)
        assert set(threading.enumerate()) == threads
    finally:
        stop_telemetry()


def test_spans_and_metrics_that_hang_hold_up_the_stop_no_longer_than_spans_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    let_go = threading.Event()

    def stop_seconds() -> float:
        began = monotonic()
        stop_telemetry()
        return monotonic() - began

    monkeypatch.setattr(export, "stop_tracing", let_go.wait)
    try:
        alone = stop_seconds()
        monkeypatch.setattr(CURRENT, "meter_provider", SimpleNamespace(shutdown=let_go.wait))
        assert stop_seconds() < 1.5 * alone
    finally:
        let_go.set()
