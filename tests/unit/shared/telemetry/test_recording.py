"""What is recorded counts once, when its transaction has committed; and Prometheus can read all of
it.
"""

import asyncio
import os
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from prometheus_client.core import Metric as Family
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from services.escalation.metrics import PAGE_METHOD, PAGES, TIME_TO_PAGE
from shared.events.trace_context import TraceContext
from shared.telemetry import (
    Level,
    configure_telemetry,
    discarded_on_error,
    know_values,
    measure,
    measured_on_success,
    set_levels,
    stop_telemetry,
)
from shared.telemetry.export import collect
from shared.telemetry.exposition import expose
from shared.telemetry.metrics import DEAD_LETTERS, LAG, OUTBOX_ROWS, SENT, STAGES, STOPPED, Metric
from shared.telemetry.recording import measure_immediately
from shared.telemetry.state import CURRENT

OPENMETRICS, TEXT = "application/openmetrics-text; version=1.0.0", "text/plain"
SAMPLED = TraceContext("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", None)
ORIGIN = "tocsin.intake.v1"


@pytest.fixture(autouse=True)
def measured(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Escalation's metrics, for the scrape alone."""
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)
    configure_telemetry("escalation")
    yield
    stop_telemetry()


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spans are recorded too."""
    monkeypatch.setattr(CURRENT, "tracer_provider", TracerProvider(shutdown_on_exit=False))


class Broken(Exception):
    """Of a test."""


def bury(*origins: str, error: Exception | None = None) -> None:
    """Count dead letters and, if so wanted, fail after that."""
    for origin in origins:
        measure(DEAD_LETTERS, 1, origin)
    if error:
        raise error


def scraped(accept: str = OPENMETRICS) -> tuple[str, str]:
    """The text and its content type."""
    data = collect()
    assert data is not None
    text, content_type = expose(data, accept)
    return text.decode(), content_type


def family(metric: Metric) -> Family | None:
    read: Any = read_openmetrics  # it has no types
    found: dict[str, Family] = {one.name: one for one in read(scraped()[0])}
    return found.get(metric.prometheus)


def series(metric: Metric, suffix: str = "") -> dict[tuple[str, ...], float]:
    """Values by those of the attributes."""
    found = family(metric)
    samples = found.samples if found else []
    labels = [attribute.name.replace(".", "_") for attribute in metric.attributes]
    return {
        tuple(sample.labels[label] for label in labels): sample.value
        for sample in samples
        if sample.name == metric.prometheus + suffix
    }


def counted() -> dict[tuple[str, ...], float]:
    """Dead letters by their origin."""
    return series(DEAD_LETTERS, "_total")


def test_counts_of_a_transaction_count_when_it_has_ended() -> None:
    with measured_on_success():
        bury(ORIGIN, "timer", ORIGIN)
        measure(TIME_TO_PAGE, 0.3)
        assert counted() == series(TIME_TO_PAGE, "_count") == {}
    assert counted() == {(ORIGIN,): 2, ("timer",): 1}
    assert series(TIME_TO_PAGE, "_count") == {(): 1}
    assert series(TIME_TO_PAGE, "_sum") == {(): 0.3}


def test_a_transaction_that_is_rolled_back_is_forgotten_and_counts_once_when_it_is_done_again() -> (
    None
):
    def work(error: Exception | None) -> None:
        with measured_on_success():
            measure(TIME_TO_PAGE, 0.3)
            bury(ORIGIN, error=error)

    with pytest.raises(Broken):
        work(Broken())
    assert counted() == series(TIME_TO_PAGE, "_count") == {}
    work(None)
    assert (counted(), series(TIME_TO_PAGE, "_count")) == ({(ORIGIN,): 1}, {(): 1})


def test_what_is_told_whatever_becomes_of_the_transaction_outlives_it() -> None:
    def work() -> None:
        with measured_on_success():
            measure_immediately(DEAD_LETTERS, 1, "told now")
            bury(ORIGIN, error=Broken())

    with pytest.raises(Broken):
        work()
    assert counted() == {("told now",): 1}


def test_a_savepoint_that_is_rolled_back_takes_its_own_counts_along_and_no_others() -> None:
    def savepoint_in_savepoint() -> None:
        bury("rolled back")
        with discarded_on_error():
            bury("inside of it")
        raise Broken

    with measured_on_success():
        bury("before")
        with pytest.raises(Broken), discarded_on_error():
            savepoint_in_savepoint()
        with discarded_on_error():
            bury("kept")
            with pytest.raises(Broken), discarded_on_error():
                bury("rolled back alone", error=Broken())
        bury("after")
    assert counted() == {("before",): 1, ("kept",): 1, ("after",): 1}


async def test_transactions_that_overlap_do_not_take_each_others_counts_along() -> None:
    both = asyncio.Barrier(2)

    async def work(origin: str, error: Exception | None) -> None:
        with measured_on_success():
            await both.wait()
            bury(origin)
            await both.wait()
            bury(error=error)

    results = await asyncio.gather(
        work("good", None), work("bad", Broken()), return_exceptions=True
    )
    assert [type(result) for result in results] == [type(None), Broken]
    assert counted() == {("good",): 1}


@pytest.mark.parametrize("values", [(), ("sent",), ("sent", "email", "more")])
def test_a_metric_needs_all_its_attributes_and_no_more(values: tuple[str, ...]) -> None:
    before = series(PAGES, "_total")
    with pytest.raises(ValueError, match=r"tocsin\.pages has 2 attributes"):
        measure(PAGES, 1, *values)
    assert series(PAGES, "_total") == before


def test_an_empty_value_leaves_its_attribute_out_and_is_an_empty_label_to_prometheus() -> None:
    measure(SENT, 3, "kafka", "send", ORIGIN, "")
    measure(SENT, 1, "kafka", "send", ORIGIN, "KafkaError")
    attributes = [dict(point.attributes or {}) for point in points(SENT)]
    assert [attribute.get("error.type", "none") for attribute in attributes] == [
        "none",
        "KafkaError",
    ]
    assert series(SENT, "_total") == {
        ("kafka", "send", ORIGIN, error): n for error, n in (("", 3), ("KafkaError", 1))
    }


def points(metric: Metric) -> list[Any]:
    """As they leave by OTLP."""
    data = collect()
    assert data is not None
    scopes = [scope for resource in data.resource_metrics for scope in resource.scope_metrics]
    return [
        point
        for scope in scopes
        for one in scope.metrics
        if one.name == metric.name
        for point in one.data.data_points
    ]


def pages_by(*methods: str) -> dict[tuple[str, ...], float]:
    return {(result, method): 0.0 for result in ("sent", "retry", "failed") for method in methods}


def test_counters_whose_values_are_known_begin_at_zero() -> None:
    assert series(PAGES, "_total") == {}, "which channels there are is not known yet"
    know_values(PAGE_METHOD, ("webhook", "email"))
    assert series(PAGES, "_total") == pages_by("webhook", "email")
    measure(PAGES, 1, "sent", "email")
    know_values(PAGE_METHOD, ("webhook", "email", "chat"))
    expected = pages_by("webhook", "email", "chat") | {("sent", "email"): 1}
    assert series(PAGES, "_total") == expected


def test_values_that_are_known_before_metrics_are_on_count_from_zero_too() -> None:
    stop_telemetry()
    know_values(PAGE_METHOD, ("webhook",))
    configure_telemetry("escalation")
    assert series(PAGES, "_total") == pages_by("webhook")


def test_a_level_that_is_not_set_again_disappears() -> None:
    set_levels(
        [LAG, OUTBOX_ROWS],
        [Level(LAG, 5, ("a", 0)), Level(LAG, 7, ("a", 1)), Level(OUTBOX_ROWS, 2)],
    )
    assert series(LAG) == {("a", "0"): 5, ("a", "1"): 7}
    set_levels([LAG, STOPPED], [Level(LAG, 0, ("a", 1))])
    assert series(LAG) == {("a", "1"): 0}
    assert series(OUTBOX_ROWS) == {(): 2}, "nothing was said of this one"
    set_levels([LAG, OUTBOX_ROWS], [])
    assert series(LAG) == series(OUTBOX_ROWS) == {}


def test_a_histogram_has_cumulative_buckets_and_the_trace_of_one_of_those_in_each(
    traced: None,
) -> None:
    for seconds, trace in ((0.03, None), (0.04, SAMPLED), (400, SAMPLED)):
        measure(STAGES, seconds, "page", trace=trace)
    found = family(STAGES)
    assert found is not None
    buckets = {s.labels["le"]: s for s in found.samples if s.name.endswith("_bucket")}
    assert [buckets[bound].value for bound in ("0.025", "0.05", "300.0", "+Inf")] == [0, 2, 2, 3]
    examples = {bound: bucket.exemplar for bound, bucket in buckets.items() if bucket.exemplar}
    _, trace_id, span_id, _ = SAMPLED.traceparent.split("-")
    assert {bound: example.value for bound, example in examples.items()} == {
        "0.05": 0.04,
        "+Inf": 400,
    }
    for example in examples.values():
        assert example.labels == {"trace_id": trace_id, "span_id": span_id}


def test_without_traces_a_histogram_shows_none() -> None:
    measure(STAGES, 0.04, "page", trace=SAMPLED)
    found = family(STAGES)
    assert found is not None
    assert series(STAGES, "_count") == {("page",): 1}
    assert [sample.exemplar for sample in found.samples if sample.exemplar] == []


def test_who_does_not_ask_for_openmetrics_gets_the_text_format_without_examples(
    traced: None,
) -> None:
    measure(STAGES, 0.04, "page", trace=SAMPLED)
    measure(DEAD_LETTERS, 1, ORIGIN)
    assert scraped()[1].startswith("application/openmetrics-text")
    text, content_type = scraped(TEXT)
    assert content_type.startswith("text/plain")
    families = {one.name: one for one in read_text(text)}
    assert [sample.value for sample in families[DEAD_LETTERS.prometheus].samples] == [1]
    assert families[STAGES.prometheus].type == "histogram"
    assert SAMPLED.trace_id not in text


def test_hostile_values_stay_values() -> None:
    hostile = 'a "quoted" \\ line\nbreak} 7 # {x="y"} 1'
    measure(DEAD_LETTERS, 1, hostile)
    assert counted() == {(hostile,): 1}


def test_another_services_metric_is_not_recorded_and_off_nothing_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stop_telemetry()
    configure_telemetry("reporting")
    measure(PAGES, 1, "sent", "email")
    assert family(PAGES) is None
    stop_telemetry()
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    configure_telemetry("escalation")
    measure(PAGES, 1, "sent", "email")
    assert collect() is None
