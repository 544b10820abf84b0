"""Counts facts of escalation."""

from services.escalation.metrics import PAGES, RESPONSES, STAGES, TIME_TO_PAGE
from services.escalation.response.domain.incident import Incident
from shared.events.escalation import PageFailed, PageSent
from shared.events.facts import Fact
from shared.events.trace_context import TraceContext
from shared.runtime.clock import seconds_since
from shared.telemetry import measure


def count(fact: Fact, incident: Incident, trace: TraceContext) -> None:
    """Count a fact about the incident. It shows once the transaction has committed."""
    if isinstance(fact, PageSent):
        measure(PAGES, 1, "sent", fact.page.method)
        if (fact.page.round, fact.page.step) == (1, 1):
            seconds = seconds_since(fact.response.started_at, fact.sent_at)
            measure(STAGES, seconds, "page", trace=trace)
            measure(TIME_TO_PAGE, seconds_since(incident.opened_at, fact.sent_at), trace=trace)
    elif isinstance(fact, PageFailed):
        measure(PAGES, 1, "failed" if fact.final else "retry", fact.page.method)
    else:
        measure(RESPONSES, 1, type(fact).__name__)
