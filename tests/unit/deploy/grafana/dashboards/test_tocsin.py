"""The dashboard asks only for metrics and labels that services expose."""

import json
import re
from typing import Any

import pytest
import yaml
from promql_parser import parse

from deploy.local.paths import CHECKOUT
from tests.support.promql import LABELS, labels_left, selectors, unknown

DASHBOARD = json.loads((CHECKOUT / "deploy/grafana/dashboards/tocsin.json").read_text())
TARGETS: list[dict[str, Any]] = [
    target for panel in DASHBOARD["panels"] for target in panel.get("targets", [])
]
EXPRESSIONS = [target["expr"].replace("$__rate_interval", "5m") for target in TARGETS]


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_expression_uses_exposed_metrics_only(expression: str) -> None:
    assert unknown(expression) == []


@pytest.mark.parametrize("index", range(len(TARGETS)))
def test_a_legend_uses_labels_that_are_left(index: int) -> None:
    used = set(re.findall(r"\{\{(\w+)\}\}", TARGETS[index]["legendFormat"]))
    assert used <= labels_left(parse(EXPRESSIONS[index]))


def test_every_metric_of_ours_is_shown() -> None:
    shown = {it.name for text in EXPRESSIONS for it in selectors(parse(text))}
    ours = {re.sub("_(bucket|sum|count)$", "", name) for name in LABELS if "tocsin_" in name}
    hidden = {"tocsin_gauges_failures_total", "tocsin_outbox_rows", "tocsin_canary_latency_seconds"}
    hidden |= {"tocsin_policy_loaded_seconds", "tocsin_policy_faults"}
    assert ours - {re.sub("_(bucket|sum|count)$", "", name or "") for name in shown} == hidden


def test_panels_read_the_provisioned_datasource() -> None:
    provisioned = yaml.safe_load((CHECKOUT / "deploy/compose/grafana/datasources.yaml").read_text())
    known = {source["uid"] for source in provisioned["datasources"]}
    assert {target["datasource"]["uid"] for target in TARGETS} <= known


def test_panels_do_not_overlap() -> None:
    cells = [
        (x, y)
        for panel in DASHBOARD["panels"]
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(cells) == len(set(cells))
