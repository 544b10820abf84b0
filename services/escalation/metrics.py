"""Metrics of escalation."""

from shared.telemetry.attributes import DECISION, Attribute
from shared.telemetry.metrics import POLICY_METRICS, SERVICE_METRICS, STAGES, Metric

__all__ = [
    "METRICS",
    "PAGES",
    "PAGES_LATE",
    "PAGE_METHOD",
    "RESPONSES",
    "RESULT",
    "STAGES",
    "TIME_TO_PAGE",
]

PAGE_METHOD = Attribute("tocsin.method", "channel of the page, such as `webhook` or `email`")
RESULT = Attribute(
    "tocsin.result",
    "result of an attempt: sent, failed and to be retried, failed for good",
    values=("sent", "retry", "failed"),
)

RESPONSES = Metric(
    "tocsin.escalation.decisions",
    "counter",
    "{decision}",
    "decisions by kind: ResponseStarted, IncidentEscalated, IncidentAcknowledged, IncidentResolved",
    (DECISION,),
)
PAGES = Metric(
    "tocsin.pages",
    "counter",
    "{attempt}",
    "attempts at pages by their result",
    (RESULT, PAGE_METHOD),
)
TIME_TO_PAGE = Metric(
    "tocsin.page.delay",
    "histogram",
    "s",
    "from the opening of an incident to the receipt of a page of its first step",
)
PAGES_LATE = Metric(
    "tocsin.pages.lateness",
    "gauge",
    "s",
    "how long the oldest page or lease that is due is overdue; 0 when none is",
)
METRICS = (*SERVICE_METRICS, *POLICY_METRICS, STAGES, RESPONSES, PAGES, TIME_TO_PAGE, PAGES_LATE)
