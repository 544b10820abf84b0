"""Where spans and metrics go: to an OTLP backend by the standard variables, and to whoever scrapes
/metrics.
"""

import os
import threading
from time import monotonic

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    InMemoryMetricReader,
    MetricReader,
    MetricsData,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.resources import Resource

from shared.telemetry.declarations import declarations_of
from shared.telemetry.recording import drop_instruments, make_instruments
from shared.telemetry.state import CURRENT
from shared.telemetry.tracing import start_tracing, stop_tracing

_EXPORT_SECONDS = 2
_FLUSH_SECONDS = 2.0


def configure_telemetry(service: str) -> None:
    """Send spans and metrics to the OTLP endpoints of the standard variables, and keep metrics for
    the scrape.

    Without an endpoint nothing is sent, with OTEL_SDK_DISABLED nothing is recorded. Once a process.
    """
    # The SDK's own switch makes spans without ids: they must not be handed on as positions in a
    # trace.
    if CURRENT.meter_provider is not None or _variable("OTEL_SDK_DISABLED") == "true":
        return
    resource = Resource.create({"service.name": f"tocsin-{service}", "service.namespace": "tocsin"})
    if "otlp" in _exporters("TRACES") and _endpoint("TRACES"):
        start_tracing(OTLPSpanExporter(timeout=_EXPORT_SECONDS), resource)
    readers: list[MetricReader] = []
    if "prometheus" in _exporters("METRICS"):
        CURRENT.scraped = InMemoryMetricReader()
        readers.append(CURRENT.scraped)
    if "otlp" in _exporters("METRICS") and _endpoint("METRICS"):
        readers.append(PeriodicExportingMetricReader(OTLPMetricExporter(timeout=_EXPORT_SECONDS)))
    CURRENT.meter_provider = MeterProvider(readers, resource, shutdown_on_exit=False)
    make_instruments(CURRENT.meter_provider.get_meter("tocsin"), declarations_of(service).metrics)


def collect() -> MetricsData | None:
    """The metrics as they are now; None when they are not exposed for a scrape."""
    return CURRENT.scraped.get_metrics_data() if CURRENT.scraped else None


def stop_telemetry() -> None:
    """Flush what is left, for at most two seconds: a backend that hangs must not delay the stop."""
    meters, CURRENT.meter_provider, CURRENT.scraped = CURRENT.meter_provider, None, None
    ends = [stop_tracing, *([meters.shutdown] if meters else [])]
    flushes = [threading.Thread(target=end, daemon=True) for end in ends]
    for flush in flushes:
        flush.start()
    deadline = monotonic() + _FLUSH_SECONDS  # of both: a supervisor does not wait for ever
    for flush in flushes:
        flush.join(max(0.0, deadline - monotonic()))
    drop_instruments()


def _exporters(signal: str) -> set[str]:
    named = _variable(f"OTEL_{signal}_EXPORTER")
    return {name.strip() for name in named.split(",")} if named else {"otlp", "prometheus"}


def _endpoint(signal: str) -> bool:
    return any(_variable(f"OTEL_EXPORTER_OTLP_{part}ENDPOINT") for part in ("", f"{signal}_"))


def _variable(name: str) -> str:
    return os.environ.get(name, "").strip().lower()
