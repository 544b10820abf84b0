"""Every name that leaves a process is declared once, by the service that uses it."""

from collections import Counter

from shared.runtime.discovery import service_packages
from shared.telemetry.declarations import (
    all_declarations,
    declarations_of,
    declared_attributes,
    declared_metrics,
    declared_spans,
)
from shared.telemetry.metrics import SERVICE_METRICS
from shared.telemetry.spans import BATCH_SPANS


def test_every_service_declares_what_it_records() -> None:
    services = {declared.service: declared for declared in all_declarations()}
    assert services.keys() >= service_packages().keys()
    for service in service_packages():
        assert declarations_of(service) == services[service]
        assert set(services[service].metrics) >= set(SERVICE_METRICS)
        assert set(services[service].spans) >= set(BATCH_SPANS)


def test_no_name_is_declared_twice() -> None:
    names = [
        *(metric.name for metric in declared_metrics()),
        *(metric.prometheus for metric in declared_metrics() if "." not in metric.prometheus),
        *(attribute.name for attribute in declared_attributes()),
    ]
    spans = [
        (span.name, span.varies, tuple(services)) for span, services in declared_spans().items()
    ]
    assert [name for name, times in Counter([*names, *spans]).items() if times > 1] == []


def test_a_metric_has_no_ids_among_its_attributes() -> None:
    for metric in declared_metrics():
        for attribute in metric.attributes:
            assert not attribute.name.endswith((".id", ".number")) or "partition" in attribute.name


def test_a_span_varies_by_an_attribute_of_its_own() -> None:
    for span in declared_spans():
        assert span.varies is None or span.varies in span.attributes


def test_a_service_that_declares_nothing_has_what_every_service_has() -> None:
    declared = declarations_of("unheard-of")
    assert (declared.metrics, declared.spans) == (SERVICE_METRICS, BATCH_SPANS)
