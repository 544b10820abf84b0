"""Traces by OpenTelemetry: one trace an incident, over outboxes, timers and restarts.

Off (no OTLP endpoint in the standard variables) every span is a no-op that hands its parent on, so contexts still
travel. A span never touches the current-context stack: it can be held over an await and closed in any order.
"""

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Literal

from opentelemetry import trace as otel
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Span, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.trace.span import TraceState

from shared.trace_context import TraceContext

SAMPLER = ALWAYS_ON
"""Incidents are few and each counts: what the publisher decided for its own spans does not matter here."""

_MAX_LINKS = 128
_FLUSH_SECONDS = 2.0
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")

Attribute = Literal[
    "messaging.system",
    "messaging.destination.name",
    "messaging.operation.name",
    "messaging.operation.type",
    "messaging.batch.message_count",
    "http.request.method",
    "http.route",
    "error.type",
    "tocsin.incident.id",
    "tocsin.incident.number",
    "tocsin.priority",
    "tocsin.team",
    "tocsin.step",
    "tocsin.attempt",
    "tocsin.method",
    "tocsin.via",
]
"""The only attributes that leave this process: none holds a name, an address, a token or a body."""

Operation = Literal["send", "process"]
Kind = Literal["internal", "producer", "consumer", "server", "client"]
_KINDS: dict[Kind, SpanKind] = {
    "internal": SpanKind.INTERNAL,
    "producer": SpanKind.PRODUCER,
    "consumer": SpanKind.CONSUMER,
    "server": SpanKind.SERVER,
    "client": SpanKind.CLIENT,
}

_provider: TracerProvider | None = None


def configure_telemetry(service: str) -> None:
    """Send spans to the OTLP endpoint of the standard variables; without one, do nothing. Once a process."""
    global _provider
    if _provider is None and _wanted():
        resource = Resource.create({"service.name": f"tocsin-{service}", "service.namespace": "tocsin"})
        _provider = TracerProvider(resource=resource, sampler=SAMPLER)
        _provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(timeout=2)))


def _wanted() -> bool:
    # The SDK's own switch makes spans without ids: they must not be handed on as positions in a trace.
    disabled = os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    none = os.environ.get("OTEL_TRACES_EXPORTER", "").strip().lower() == "none"
    return not disabled and not none and any(os.environ.get(name) for name in _ENDPOINTS)


def stop_telemetry() -> None:
    """Flush what is left, for at most two seconds: a backend that hangs must not hold up the stop."""
    global _provider
    provider, _provider = _provider, None
    if provider is not None:
        flush = threading.Thread(target=provider.shutdown, daemon=True)
        flush.start()
        flush.join(_FLUSH_SECONDS)


@contextmanager
def span(
    name: str,
    parent: TraceContext | None = None,
    *,
    kind: Kind = "internal",
    links: Sequence[TraceContext] = (),
    attributes: Mapping[Attribute, str | int] | None = None,
) -> Iterator[TraceContext | None]:
    """A span under `parent` (a new trace without one). Gives the context to hand on; off, that is `parent` itself."""
    if _provider is None:
        yield parent
        return
    current = _provider.get_tracer("tocsin").start_span(
        name,
        context=_context(parent) if parent else otel.set_span_in_context(otel.INVALID_SPAN),
        kind=_KINDS[kind],
        links=[Link(_span_context(link)) for link in links[:_MAX_LINKS]],
        attributes={str(name): value for name, value in (attributes or {}).items()},
    )
    try:
        yield _handle(current)
    except BaseException as error:  # cancelled is not done either
        # The type alone: a message may quote what must not leave.
        current.set_attribute("error.type", type(error).__qualname__)
        current.set_status(Status(StatusCode.ERROR))
        raise
    finally:
        current.end()


def batch_span(
    operation: Operation, topic: str, count: int, links: Sequence[TraceContext]
) -> AbstractContextManager[TraceContext | None]:
    """A span of its own for `count` messages to or from Kafka, linked to their traces (the first 128 of them)."""
    return span(
        f"{operation} {topic}",
        # Not a producer: the context that the messages carry is that of the span which decided them.
        kind="client" if operation == "send" else "consumer",
        links=list(dict.fromkeys(links)),
        attributes={
            "messaging.system": "kafka",
            "messaging.destination.name": topic,
            "messaging.operation.name": operation,
            "messaging.operation.type": operation,
            "messaging.batch.message_count": count,
        },
    )


def _context(parent: TraceContext) -> Context:
    return otel.set_span_in_context(NonRecordingSpan(_span_context(parent)))


def _span_context(position: TraceContext) -> SpanContext:
    _, trace_id, span_id, flags = position.traceparent.split("-")[:4]
    return SpanContext(
        trace_id=int(trace_id, 16),
        span_id=int(span_id, 16),
        is_remote=True,
        trace_flags=TraceFlags(int(flags, 16)),
        trace_state=TraceState.from_header([position.tracestate]) if position.tracestate else None,
    )


def _handle(current: otel.Span | Span) -> TraceContext:
    context = current.get_span_context()
    parent = f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}"
    return TraceContext(parent, context.trace_state.to_header() or None)
