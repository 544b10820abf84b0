"""Every metric that Tocsin has. Instruments are made from these, so there is none that does not
stand here.
"""

from dataclasses import dataclass
from typing import Literal

from shared.telemetry.attributes import (
    CANARY_RESULT,
    CANARY_STAGE,
    COMPONENT,
    CPU_MODE,
    DECISION,
    ERROR,
    METHOD,
    OPERATION,
    ORIGIN,
    PAGE_METHOD,
    PARTITION,
    POLICY,
    PRIORITY,
    RESULT,
    ROUTE,
    STAGE,
    STATUS,
    SYSTEM,
    TOPIC,
    Attribute,
)

Instrument = Literal["counter", "histogram", "gauge", "updowncounter", "observable counter"]
DECIDING = ("intake", "triage", "escalation")
ANY, PAGING, CANARY = (*DECIDING, "reporting"), ("escalation",), ("canary",)

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)


@dataclass(frozen=True, eq=False, slots=True)
class Metric:
    """`unit` is UCUM's. `services` are those that have it. A value is recorded with the values of
    `attributes`, in their order; an empty one leaves its attribute out. Counters and histograms are
    recorded when something happens, the others are levels that are read now and then
    (`shared.runtime.gauges`).
    """

    name: str
    instrument: Instrument
    unit: str
    meaning: str
    attributes: tuple[Attribute, ...] = ()
    services: tuple[str, ...] = ANY
    buckets: tuple[float, ...] = _SECONDS

    @property
    def is_level(self) -> bool:
        """Whether it is read now and then."""
        return self.instrument not in ("counter", "histogram")

    @property
    def prometheus(self) -> str:
        """The name that Prometheus knows it by, a counter's and a histogram's without `_total`,
        `_bucket` and so on.
        """
        suffix = {"s": "_seconds", "By": "_bytes"}.get(self.unit, "")
        return self.name.replace(".", "_") + suffix


SIGNALS = Metric(
    "tocsin.intake.signals",
    "counter",
    "{signal}",
    "signals by what became of them: opened, joined, alert ended, cleared, nothing was open, logged (a change or a "
    "service request), repeat (known by its source and id), rejected (on the topic; over HTTP see the status)",
    (DECISION,),
    ("intake",),
)
TRIAGED = Metric(
    "tocsin.triage.decisions",
    "counter",
    "{decision}",
    "decisions by kind and priority: IncidentTriaged, IncidentReprioritised, TriageConfirmed, IncidentSubsided, and "
    "RequestRouted, which has no priority",
    (DECISION, PRIORITY),
    ("triage",),
)
RESPONSES = Metric(
    "tocsin.escalation.decisions",
    "counter",
    "{decision}",
    "decisions by kind: ResponseStarted, IncidentEscalated, IncidentAcknowledged, IncidentResolved",
    (DECISION,),
    PAGING,
)
PAGES = Metric(
    "tocsin.pages",
    "counter",
    "{attempt}",
    "attempts at pages by what came of them",
    (RESULT, PAGE_METHOD),
    PAGING,
)
STAGES = Metric(
    "tocsin.stage.duration",
    "histogram",
    "s",
    "how long an incident took from the stage before: report (signal received to incident opened), triage, escalate, "
    "page (a response's start to the receipt of a page of its first step). The clocks of two services are compared",
    (STAGE,),
    DECIDING,
)
TIME_TO_PAGE = Metric(
    "tocsin.page.delay",
    "histogram",
    "s",
    "from the opening of an incident to the receipt of a page of its first step",
    services=PAGING,
)
DEAD_LETTERS = Metric(
    "tocsin.dead_letters",
    "counter",
    "{message}",
    "what could not be worked on and was told to operators",
    (ORIGIN,),
)
LAG = Metric(
    "tocsin.consumer.lag",
    "gauge",
    "{record}",
    "records still to be read by the replica that owns the partition, as of its last look (every 5 s)",
    (TOPIC, PARTITION),
)
STOPPED = Metric(
    "tocsin.consumer.stopped",
    "gauge",
    "{partition}",
    "partitions that go on when somebody has mended them",
)
OUTBOX_ROWS = Metric(
    "tocsin.outbox.rows", "gauge", "{row}", "events that wait to be published, counted up to 10,000"
)
OUTBOX_AGE = Metric(
    "tocsin.outbox.age", "gauge", "s", "since when the oldest of them waits; 0 when none does"
)
TIMERS_LATE = Metric(
    "tocsin.timers.lateness",
    "gauge",
    "s",
    "how long the oldest due timer is overdue; 0 when none is",
)
PAGES_LATE = Metric(
    "tocsin.pages.lateness",
    "gauge",
    "s",
    "how long the oldest page or lease that is due is overdue; 0 when none is",
    services=PAGING,
)
PROBLEMS = Metric(
    "tocsin.problems",
    "gauge",
    "{problem}",
    "what /readyz names, by part of the service",
    (COMPONENT,),
)
POLICY_LOADED = Metric(
    "tocsin.policy.loaded",
    "gauge",
    "s",
    "when the policy in force was taken (Unix time)",
    (POLICY,),
    DECIDING,
)
POLICY_FAULTS = Metric(
    "tocsin.policy.faults",
    "gauge",
    "{error}",
    "errors for which the file as it is now is refused, while the last good one stays in force; 0 when all is well",
    (POLICY,),
    DECIDING,
)
GAUGE_FAILURES = Metric(
    "tocsin.gauges.failures",
    "counter",
    "{failure}",
    "readings of the database's levels that failed; until one succeeds those levels are absent",
)
_BATCH = (SYSTEM, OPERATION, TOPIC, ERROR)
PROCESSED = Metric(
    "messaging.client.consumed.messages",
    "counter",
    "{message}",
    "messages worked on, those of a batch that failed included",
    _BATCH,
)
PROCESSING = Metric(
    "messaging.process.duration",
    "histogram",
    "s",
    "work on a batch from Kafka; on several topics at a time, it counts for each",
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
CANARY_ROUNDS = Metric(
    "tocsin.canary.rounds",
    "counter",
    "{round}",
    "rounds of the canary by their result",
    (CANARY_RESULT,),
    CANARY,
)
CANARY_LATENCY = Metric(
    "tocsin.canary.latency",
    "histogram",
    "s",
    "how long the stages of a round took that came to pass, and whole rounds that did",
    (CANARY_STAGE,),
    CANARY,
)
CANARY_LAST_SUCCESS = Metric(
    "tocsin.canary.last_success",
    "gauge",
    "s",
    "when a round passed last, in seconds since 1970; absent until one has",
    services=CANARY,
)

METRICS = tuple(found for found in dict(globals()).values() if isinstance(found, Metric))
"""All of them."""
