"""Metrics of the canary."""

import time

from deploy.canary.round import Report
from shared.telemetry import Level, measure, set_levels
from shared.telemetry.attributes import Attribute
from shared.telemetry.metrics import Metric

RESULT = Attribute(
    "tocsin.canary.result",
    "result of a round: passed, or what was missing",
    values=(
        "passed",
        "not_accepted",
        "not_paged",
        "not_acknowledged",
        "not_synthetic",
        "not_resolved",
    ),
)
STAGE = Attribute(
    "tocsin.canary.stage",
    "part of a round: from the signal, or from the order to acknowledge or resolve, until reporting "
    "shows it; `round`: all of it",
    values=("accept", "page", "acknowledge", "resolve", "round"),
)

ROUNDS = Metric(
    "tocsin.canary.rounds",
    "counter",
    "{round}",
    "rounds of the canary by their result",
    (RESULT,),
)
LATENCY = Metric(
    "tocsin.canary.latency",
    "histogram",
    "s",
    "how long each stage that passed took, and each round that passed",
    (STAGE,),
)
LAST_SUCCESS = Metric(
    "tocsin.canary.last_success",
    "gauge",
    "s",
    "when a round last passed (Unix time); absent until one has",
)
METRICS = (ROUNDS, LATENCY, LAST_SUCCESS)


def count(report: Report) -> None:
    """Record a round that is over."""
    measure(ROUNDS, 1, report.result)
    for stage, seconds in report.stages.items():
        measure(LATENCY, seconds, stage, trace=report.trace)
    if report.result == "passed":
        measure(LATENCY, report.seconds, "round", trace=report.trace)
        set_levels([LAST_SUCCESS], [Level(LAST_SUCCESS, time.time())])
