"""How a metric is declared, and the metrics of every service. A service declares its own in its
module `metrics`, and lists there all that it has.
"""

from dataclasses import dataclass
from typing import Literal

from shared.telemetry.attributes import (
    COMPONENT,
    CPU_MODE,
    ERROR,
    KIND,
    METHOD,
    OPERATION,
    ORIGIN,
    PARTITION,
    POLICY,
    ROUTE,
    STAGE,
    STATE,
    STATUS,
    SYSTEM,
    TOPIC,
    Attribute,
)

Instrument = Literal["counter", "histogram", "gauge", "updowncounter", "observable counter"]

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)


@dataclass(frozen=True, eq=False, slots=True)
class Metric:
    """`unit` is UCUM's. A value is recorded with the values of `attributes`, in their order; an
    empty one leaves its attribute out. Counters and histograms are recorded when something happens,
    the others are levels that are read now and then (`shared.runtime.gauges`).
    """

    name: str
    instrument: Instrument
    unit: str
    meaning: str
    attributes: tuple[Attribute, ...] = ()
    buckets: tuple[float, ...] = _SECONDS

    @property
    def is_level(self) -> bool:
        """Whether it is read now and then."""
        return self.instrument not in ("counter", "histogram")

    @property
    def prometheus(self) -> str:
        """Its name in Prometheus, without `_total`, `_bucket` and so on."""
        suffix = {"s": "_seconds", "By": "_bytes"}.get(self.unit, "")
        return self.name.replace(".", "_") + suffix


DEAD_LETTERS = Metric(
    "tocsin.dead_letters",
    "counter",
    "{message}",
    "messages that could not be processed and were dead-lettered",
    (ORIGIN,),
)
LAG = Metric(
    "tocsin.consumer.lag",
    "gauge",
    "{record}",
    "records still to be read by the replica that owns the partition, polled every 5 s",
    (TOPIC, PARTITION),
)
STOPPED = Metric(
    "tocsin.consumer.stopped",
    "gauge",
    "{partition}",
    "partitions that stopped until an operator corrects the cause",
)
OUTBOX_ROWS = Metric(
    "tocsin.outbox.rows", "gauge", "{row}", "events that wait to be published, counted up to 10,000"
)
OUTBOX_AGE = Metric(
    "tocsin.outbox.age", "gauge", "s", "how long the oldest of them has waited; 0 when none does"
)
TIMERS_LATE = Metric(
    "tocsin.timers.lateness",
    "gauge",
    "s",
    "how long the oldest due timer is overdue; 0 when none is",
)
PROBLEMS = Metric(
    "tocsin.problems",
    "gauge",
    "{problem}",
    "what /readyz names, by part of the service",
    (COMPONENT, STATE),
)
CLOCK_OFFSET = Metric(
    "tocsin.clock.offset",
    "gauge",
    "s",
    "how far this machine's clock is ahead of the database's, by which leases and timers go",
)
GAUGE_FAILURES = Metric(
    "tocsin.gauges.failures",
    "counter",
    "{failure}",
    "readings of the database's levels that failed; these levels are absent until one succeeds",
)
_BATCH = (SYSTEM, OPERATION, TOPIC, ERROR)
PROCESSED = Metric(
    "messaging.client.consumed.messages",
    "counter",
    "{message}",
    "messages processed, those of a batch that failed included",
    _BATCH,
)
PROCESSING = Metric(
    "messaging.process.duration",
    "histogram",
    "s",
    "processing a batch from Kafka; one of several topics counts for each of them",
    _BATCH,
)
SENT = Metric(
    "messaging.client.sent.messages",
    "counter",
    "{message}",
    "messages that the relay published, or tried to",
    _BATCH,
)
SENDING = Metric(
    "messaging.client.operation.duration", "histogram", "s", "publishing a batch", _BATCH
)
REQUESTS = Metric(
    "http.server.request.duration",
    "histogram",
    "s",
    "HTTP requests answered",
    (METHOD, ROUTE, STATUS),
)
CPU = Metric(
    "process.cpu.time", "observable counter", "s", "processor time of the process", (CPU_MODE,)
)
MEMORY = Metric(
    "process.memory.usage", "updowncounter", "By", "resident memory of the process (on Linux)"
)
RETENTION_DELETED = Metric(
    "tocsin.retention.deleted",
    "counter",
    "{row}",
    "rows that were deleted because they were older than the policy keeps them, with those that "
    "belonged to them",
    (KIND,),
)
RETENTION_FINISHED = Metric(
    "tocsin.retention.finished",
    "gauge",
    "s",
    "when the last retention run of the service ended (Unix time); absent before the first",
)
SERVICE_METRICS = (
    DEAD_LETTERS,
    LAG,
    STOPPED,
    OUTBOX_ROWS,
    OUTBOX_AGE,
    TIMERS_LATE,
    PROBLEMS,
    CLOCK_OFFSET,
    GAUGE_FAILURES,
    PROCESSED,
    PROCESSING,
    SENT,
    SENDING,
    REQUESTS,
    RETENTION_DELETED,
    RETENTION_FINISHED,
    CPU,
    MEMORY,
)
"""Metrics of every service."""

POLICY_LOADED = Metric(
    "tocsin.policy.loaded",
    "gauge",
    "s",
    "when the policy in force was taken (Unix time)",
    (POLICY,),
)
POLICY_FAULTS = Metric(
    "tocsin.policy.faults",
    "gauge",
    "{error}",
    "errors for which the current file is refused while the last good one stays in force; "
    "0 when there are none",
    (POLICY,),
)
POLICY_METRICS = (POLICY_LOADED, POLICY_FAULTS)
"""Metrics of a service that follows a policy file."""

STAGES = Metric(
    "tocsin.stage.duration",
    "histogram",
    "s",
    "how long an incident took from the stage before: report (signal received to incident "
    "opened), triage, escalate, page (a response's start to the receipt of a page of its first "
    "step). The clocks of two services are compared",
    (STAGE,),
)
