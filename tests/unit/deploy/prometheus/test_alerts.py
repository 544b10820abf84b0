"""Alerting rules use only exposed metrics, and say what to do."""

import os
import re
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import jsonschema
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families as read_text
from promql_parser import AggregateExpr, BinaryExpr, NumberLiteral, VectorSelector, parse

from deploy.canary import metrics as canary
from deploy.contracts.telemetry import document
from deploy.local.paths import CHECKOUT
from services.escalation import metrics as escalation
from shared.telemetry import (
    Level,
    configure_telemetry,
    measure,
    metrics,
    set_levels,
    stop_telemetry,
)
from shared.telemetry.attributes import STATE
from shared.telemetry.export import collect
from shared.telemetry.exposition import expose
from tests.support.promql import (
    LABELS,
    LATE_ONLY,
    SCRAPED,
    Sample,
    labels_left,
    selectors,
    taken,
    unknown,
)

RULE_FILE = yaml.safe_load((CHECKOUT / "deploy" / "prometheus" / "alerts.yaml").read_text())
RULES: dict[str, dict[str, Any]] = {
    rule["alert"]: rule for group in RULE_FILE["groups"] for rule in group["rules"]
}
ON_LEVELS = [
    "TocsinPagesOverdue",
    "TocsinTimersLate",
    "TocsinOutboxOld",
    "TocsinConsumerStopped",
    "TocsinNotReady",
    "TocsinDegraded",
    "TocsinPolicyRefused",
]

Scrape: TypeAlias = Callable[[Callable[[], None]], list[Sample]]


def exactly(required: str, **properties: Any) -> dict[str, Any]:
    """A JSON schema of an object with exactly these keys."""
    keys = required.split()
    return {
        "type": "object",
        "required": keys,
        "properties": properties,
        "additionalProperties": False,
    }


HEADINGS = ["What it means", "What users see", "Look at", "Do", "Prove it is over"]
TEXT = {"type": "string", "minLength": 1}
DURATION = {"type": "string", "pattern": r"^\d+[smh]$"}
RULE = exactly(
    "alert expr for labels annotations",
    alert={"type": "string", "pattern": "^Tocsin[A-Z][A-Za-z]+$"},
    expr=TEXT,
    labels=exactly("severity", severity={"enum": ["page", "ticket"]}),
    annotations=exactly(
        "summary description runbook", summary=TEXT, description=TEXT, runbook=TEXT
    ),
    **{"for": DURATION},
)
GROUP = exactly("name rules", name=TEXT, rules={"type": "array", "minItems": 1, "items": RULE})
SCHEMA = exactly("groups", groups={"type": "array", "minItems": 1, "items": GROUP})
"""The subset of Prometheus' rule files that is used here; every key is required."""


def anchors(page: str) -> set[str]:
    """The anchors of a page's headings."""
    headings = re.findall(r"^#+ (.*)$", page, re.MULTILINE)
    return {re.sub(r"[^a-z0-9 _-]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_file_is_valid() -> None:
    jsonschema.validate(RULE_FILE, SCHEMA)
    groups = [group["name"] for group in RULE_FILE["groups"]]
    assert len(set(groups)) == len(groups)
    assert len(RULES) == sum(len(group["rules"]) for group in RULE_FILE["groups"]), (
        "names are unique"
    )


@pytest.mark.parametrize("name", RULES)
def test_a_rule_uses_exposed_metrics_only(name: str) -> None:
    assert unknown(RULES[name]["expr"]) == []


@pytest.mark.parametrize("name", RULES)
def test_labels_in_texts_exist_when_the_rule_fires(name: str) -> None:
    used = set(re.findall(r"\$labels\.(\w+)", " ".join(RULES[name]["annotations"].values())))
    assert used <= labels_left(parse(RULES[name]["expr"]))


@pytest.mark.parametrize("name", RULES)
def test_a_rule_has_a_page_that_says_what_to_do(name: str) -> None:
    assert RULES[name]["annotations"]["runbook"] == f"docs/runbooks/{name}.md"
    page = (CHECKOUT / "docs" / "runbooks" / f"{name}.md").read_text()
    title, *sections = re.split(r"^#+ (.*)$", page, flags=re.MULTILINE)[1:]
    assert title == name
    assert sections[1::2] == HEADINGS
    assert all(len(text.split()) >= 5 for text in sections[2::2])


def test_links_in_runbooks_lead_somewhere() -> None:
    for page in sorted((CHECKOUT / "docs" / "runbooks").glob("*.md")):
        for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
            path, _, section = target.partition("#")
            found = (page.parent / path).resolve() if path else page
            assert found.is_file(), f"{page.name}: {target}"
            assert not section or section in anchors(found.read_text()), f"{page.name}: {target}"


@pytest.mark.parametrize(
    ("expression", "wrong"),
    [
        ("tocsin_pages > 0", "no metric tocsin_pages"),
        ("rate(tocsin_page_delay_seconds[5m]) > 0", "no metric tocsin_page_delay_seconds"),
        ('tocsin_problems{component="wake"} > 0', "tocsin_problems has no component"),
        ("sum by (job, topic) (tocsin_consumer_lag) > 0", "tocsin_consumer_lag has no topic"),
        ("up > on (job, tocsin_policy) tocsin_policy_faults", "up has no tocsin_policy"),
        ('tocsin_pages_total{tocsin_result=~"retry|lost"} > 0', "tocsin_result is never lost"),
        ('tocsin_pages_total{tocsin_result!="lost"} > 0', "tocsin_result is never lost"),
        ('up{job=~"tocsin-(intake|paging)"} == 0', "job is never tocsin-paging"),
        ('tocsin_problems{tocsin_component!~"relay|waker"} > 0', "tocsin_component is never waker"),
        (
            'http_server_request_duration_seconds_count{http_route=~"/v2/.+"} > 0',
            "http_route is never /v2/.+",
        ),
    ],
)
def test_names_that_are_not_exposed_are_found(expression: str, wrong: str) -> None:
    assert unknown(expression) == [wrong]


def test_names_are_documented() -> None:
    page = document()
    assert [
        name for name in LABELS if f"`{re.sub('_(bucket|sum|count)$', '', name)}`" not in page
    ] == ["up"]


def test_each_rule_finds_its_series_after_failures(scraped: Scrape) -> None:
    samples = scraped(after_failures)
    asked = {
        str(selector): selector
        for rule in RULES.values()
        for selector in selectors(parse(rule["expr"]))
    }
    assert [text for text, selector in asked.items() if not taken(selector, samples)] == []


def test_rules_on_levels_fire_after_failures_and_not_otherwise(scraped: Scrape) -> None:
    bad, good = scraped(after_failures), scraped(without_failures)
    for name in ON_LEVELS:
        assert (name, fires(RULES[name]["expr"], bad)) == (name, True)
        assert (name, fires(RULES[name]["expr"], good)) == (name, False)


def fires(text: str, samples: list[Sample]) -> bool:
    """Whether a level exceeds its limit for some series."""
    match parse(text):
        case BinaryExpr(
            op=op, lhs=AggregateExpr(expr=VectorSelector() as level), rhs=NumberLiteral(val=limit)
        ):
            assert str(op) == ">"
            return any(value > limit for value in taken(level, samples))
    raise AssertionError(f"{text} does not compare a level with a number")


def after_failures() -> None:
    """Failures of every kind; each service records those that it has metrics for."""
    levels(late=300, wrong=2)
    measure(escalation.PAGES, 1, "failed", "webhook")
    measure(metrics.DEAD_LETTERS, 1, "timer")
    measure(metrics.GAUGE_FAILURES, 1)
    for status in (401, 503):
        measure(metrics.REQUESTS, 0.1, "POST", "/v1/signals", status)
    measure(canary.ROUNDS, 1, "not_paged")
    measure(canary.LATENCY, 9, "page")


def without_failures() -> None:
    """No failures; some components may be late."""
    levels(late=0, wrong=0)


def levels(late: float, wrong: int) -> None:
    found = [
        *(
            Level(metric, late)
            for metric in (escalation.PAGES_LATE, metrics.TIMERS_LATE, metrics.OUTBOX_AGE)
        ),
        Level(metrics.STOPPED, wrong),
        Level(metrics.LAG, 1000 * wrong, ("tocsin.intake.v1", "0")),
        *(Level(metrics.PROBLEMS, wrong, ("consumption", state)) for state in STATE.values),
        *(Level(metrics.PROBLEMS, 1, (part, "degraded")) for part in LATE_ONLY),
        Level(metrics.CLOCK_OFFSET, -late),
        Level(metrics.POLICY_FAULTS, wrong, ("teams.yaml",)),
        Level(canary.LAST_SUCCESS, 1_772_000_000),
        Level(metrics.RETENTION_FINISHED, 1_772_000_000),
    ]
    set_levels({level.metric for level in found}, found)


@pytest.fixture
def scraped(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scrape]:
    """What Prometheus scrapes from all services after the same events at each."""
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)
    yield lambda happen: [sample for service in SCRAPED for sample in scrape(service, happen)]
    stop_telemetry()


def scrape(service: str, happen: Callable[[], None]) -> Iterator[Sample]:
    configure_telemetry(service)
    happen()
    data = collect()
    assert data is not None
    text = expose(data, "text/plain")[0].decode()
    stop_telemetry()
    target = {"job": f"tocsin-{service}", "instance": service}
    yield Sample("up", target, 1)
    for family in read_text(text):
        yield from (
            Sample(found.name, {**found.labels, **target}, found.value) for found in family.samples
        )
