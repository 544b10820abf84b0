"""A telemetry backend inside the test: accepts OTLP over HTTP and returns edges between spans."""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric, ResourceMetrics
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Span, Status

from tests.support.http import listening

_KIND = len("SPAN_KIND_")


@dataclass(frozen=True)
class Exported:
    """A span as exported. Ids are hexadecimal; `links` are (trace id, span id)."""

    service: str
    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    links: tuple[tuple[str, str], ...]
    attributes: Mapping[str, str | int]
    error: bool

    @property
    def label(self) -> str:
        """`service:name`, as `edges` returns it."""
        return f"{self.service}:{self.name}"


@dataclass(frozen=True)
class Point:
    """The last exported point of one series; the value of a histogram is its count."""

    service: str
    name: str
    unit: str
    instrument: str
    attributes: Mapping[str, str | int]
    value: float


@dataclass
class Backend:
    """All spans that arrived, and the newest points of each service's metrics.

    `bodies` are the requests' bytes, to search for data that must not be in them.
    """

    spans: list[Exported] = field(default_factory=list)
    metrics: dict[str, list[Point]] = field(default_factory=dict)
    bodies: list[bytes] = field(default_factory=list)
    url: str = ""

    def trace(self, trace_id: str) -> list[Exported]:
        """The spans of one trace."""
        return [span for span in self.spans if span.trace_id == trace_id]

    def edges(self, trace_id: str, outside: Mapping[str, str]) -> set[tuple[str, str]]:
        """The edges (parent, child) of a trace by label. `outside` names spans of other systems by
        their ids. The parent is "" for a root and "?" when it never arrived.
        """
        spans = self.trace(trace_id)
        labels = {"": ""} | {span.span_id: span.label for span in spans} | dict(outside)
        return {(labels.get(span.parent_id, "?"), span.label) for span in spans}

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.bodies.append(body)
        for group in ExportTraceServiceRequest.FromString(body).resource_spans:
            self.spans += _read(group)
        return web.Response(content_type="application/x-protobuf")

    async def _take_metrics(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.bodies.append(body)
        for group in ExportMetricsServiceRequest.FromString(body).resource_metrics:
            points = list(_read_metrics(group))
            self.metrics[points[0].service] = points
        return web.Response(content_type="application/x-protobuf")


def _read(group: ResourceSpans) -> Iterator[Exported]:
    service = str(_values(group.resource.attributes)["service.name"])
    for scope in group.scope_spans:
        for span in scope.spans:
            yield Exported(
                service=service,
                name=span.name,
                kind=Span.SpanKind.Name(span.kind)[_KIND:].lower(),
                trace_id=span.trace_id.hex(),
                span_id=span.span_id.hex(),
                parent_id=span.parent_span_id.hex(),
                links=tuple((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
                attributes=_values(span.attributes),
                error=span.status.code == Status.STATUS_CODE_ERROR,
            )


def _read_metrics(group: ResourceMetrics) -> Iterator[Point]:
    service = str(_values(group.resource.attributes)["service.name"])
    for scope in group.scope_metrics:
        for metric in scope.metrics:
            instrument, data = _data(metric)
            for point in data.data_points:
                value = (
                    point.count if instrument == "histogram" else point.as_double or point.as_int
                )
                yield Point(
                    service, metric.name, metric.unit, instrument, _values(point.attributes), value
                )


def _data(metric: Metric) -> tuple[str, Any]:
    """The points of a metric and its instrument; counters and other sums are distinguished."""
    kind = metric.WhichOneof("data") or ""
    data = getattr(metric, kind)
    return ("counter" if data.is_monotonic else "updowncounter") if kind == "sum" else kind, data


def _values(attributes: Any) -> dict[str, str | int]:
    pairs: list[KeyValue] = list(attributes)
    return {
        pair.key: getattr(pair.value, pair.value.WhichOneof("value") or "string_value")
        for pair in pairs
    }


@asynccontextmanager
async def backend() -> AsyncIterator[Backend]:
    """A backend on a port of its own; its `url` is for OTEL_EXPORTER_OTLP_ENDPOINT."""
    traces = Backend()
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_post("/v1/traces", traces._take)
    app.router.add_post("/v1/metrics", traces._take_metrics)
    async with listening(app) as traces.url:
        yield traces
