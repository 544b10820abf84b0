"""What a round is worth as figures."""

import time

from deploy.canary.round import Report
from shared.telemetry import Level, measure, metrics, set_levels


def count(report: Report) -> None:
    """Record a round that is over."""
    measure(metrics.CANARY_ROUNDS, 1, report.result)
    for stage, seconds in report.stages.items():
        measure(metrics.CANARY_LATENCY, seconds, stage, trace=report.trace)
    if report.result == "passed":
        measure(metrics.CANARY_LATENCY, report.seconds, "round", trace=report.trace)
        set_levels([metrics.CANARY_LAST_SUCCESS], [Level(metrics.CANARY_LAST_SUCCESS, time.time())])
