"""Metrics of the canary."""

import time

from deploy.canary.round import Report, Result, Stage
from shared.telemetry import Level, measure, set_levels
from shared.telemetry.attributes import Attribute
from shared.telemetry.metrics import Metric

RESULT = Attribute(
    "tocsin.canary.result",
    "result of a round: passed, or the first thing that did not happen",
    values=tuple(Result),
)
STAGE = Attribute(
    "tocsin.canary.stage",
    "stage of a round, from the signal or the request until reporting shows it; `round`: all of it",
    values=(*Stage, "round"),
)

ROUNDS = Metric(
    "tocsin.canary.rounds", "counter", "{round}", "rounds of the canary by their result", (RESULT,)
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


def record(report: Report) -> None:
    """Record the result and the latencies of a round."""
    measure(ROUNDS, 1, report.result)
    for stage, seconds in report.stages.items():
        measure(LATENCY, seconds, stage, trace=report.trace)
    if report.result is Result.PASSED:
        measure(LATENCY, report.seconds, "round", trace=report.trace)
        set_levels([LAST_SUCCESS], [Level(LAST_SUCCESS, time.time())])
