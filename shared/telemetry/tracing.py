"""Traces by OpenTelemetry: one trace an incident, over outboxes, timers and restarts.

Off (no OTLP endpoint in the standard variables) every span is a no-op that hands its parent on, so
contexts still travel. A span never touches the current-context stack: it can be held over an await
and closed in any order.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from opentelemetry import trace as otel
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Span as Recorded
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
)
from opentelemetry.trace.span import TraceState

from shared.events.trace_context import TraceContext
from shared.telemetry.attributes import ERROR, Attribute
from shared.telemetry.spans import Kind, Span
from shared.telemetry.state import CURRENT

SAMPLER = ALWAYS_ON
"""Incidents are few and each counts: what the publisher decided for its own spans does not matter
here.
"""

_MAX_LINKS = 128
_KINDS: Mapping[Kind, SpanKind] = {
    "internal": SpanKind.INTERNAL,
    "client": SpanKind.CLIENT,
    "consumer": SpanKind.CONSUMER,
    "server": SpanKind.SERVER,
}


def start_tracing(exporter: SpanExporter, resource: Resource) -> None:
    """Record spans from here on."""
    provider = TracerProvider(resource=resource, sampler=SAMPLER)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    CURRENT.tracer_provider = provider


def stop_tracing() -> None:
    """Stop recording and export the spans that are left, however long the backend takes."""
    provider, CURRENT.tracer_provider = CURRENT.tracer_provider, None
    if provider is not None:
        provider.shutdown()


def exemplar_context(position: TraceContext | None) -> Context | None:
    """Exemplar context; None while tracing is off."""
    return _context(position) if position and CURRENT.tracer_provider else None


@contextmanager
def span(
    declared: Span,
    parent: TraceContext | None = None,
    attributes: Mapping[Attribute, str | int] | None = None,
    *,
    links: Sequence[TraceContext] = (),
) -> Iterator[TraceContext | None]:
    """A span under `parent` (a new trace without one). Gives the context to hand on; off, that is
    `parent` itself.
    """
    provider = CURRENT.tracer_provider
    if provider is None:
        yield parent
        return
    attributes = attributes or {}
    current = provider.get_tracer("tocsin").start_span(
        declared.named(attributes),
        context=_context(parent) if parent else otel.set_span_in_context(otel.INVALID_SPAN),
        kind=_KINDS[declared.kind],
        links=[Link(_span_context(link)) for link in links[:_MAX_LINKS]],
        attributes={attribute.name: value for attribute, value in attributes.items()},
    )
    try:
        yield _handle(current)
    except BaseException as error:  # cancelled is not done either
        # The type alone: a message may quote what must not leave.
        current.set_attribute(ERROR.name, type(error).__qualname__)
        current.set_status(Status(StatusCode.ERROR))
        raise
    finally:
        current.end()


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


def _handle(current: otel.Span | Recorded) -> TraceContext:
    context = current.get_span_context()
    parent = f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}"
    return TraceContext(parent, context.trace_state.to_header() or None)
