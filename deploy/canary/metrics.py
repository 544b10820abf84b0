"""The metrics of a finished round."""

import time

from deploy.canary.round import Report, Result
from shared.telemetry import Level, measure, metrics, set_levels


def record(report: Report) -> None:
    """Record the result and the latencies of a round."""
    measure(metrics.CANARY_ROUNDS, 1, report.result)
    for stage, seconds in report.stages.items():
        measure(metrics.CANARY_LATENCY, seconds, stage, trace=report.trace)
    if report.result is Result.PASSED:
        measure(metrics.CANARY_LATENCY, report.seconds, "round", trace=report.trace)
        set_levels([metrics.CANARY_LAST_SUCCESS], [Level(metrics.CANARY_LAST_SUCCESS, time.time())])
