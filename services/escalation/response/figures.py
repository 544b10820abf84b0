"""What escalation's facts come to as figures."""

from collections.abc import Sequence
from datetime import datetime

from services.escalation.delivery import store as ledger
from services.escalation.metrics import PAGES, PAGES_LATE, RESPONSES, STAGES, TIME_TO_PAGE
from services.escalation.response.domain import Incident
from shared.events.escalation import PageFailed, PageSent
from shared.events.facts import Fact
from shared.events.trace_context import TraceContext
from shared.postgres.connection import Connection
from shared.runtime.clock import seconds_since
from shared.telemetry import Level, measure


def count(fact: Fact, incident: Incident, trace: TraceContext) -> None:
    """Count a fact about the incident; once its transaction has committed, it shows."""
    if isinstance(fact, PageSent):
        measure(PAGES, 1, "sent", fact.page.method)
        if (fact.page.round, fact.page.step) == (1, 1):
            measure(
                STAGES, seconds_since(fact.response.started_at, fact.sent_at), "page", trace=trace
            )
            measure(TIME_TO_PAGE, seconds_since(incident.opened_at, fact.sent_at), trace=trace)
    elif isinstance(fact, PageFailed):
        measure(PAGES, 1, "failed" if fact.final else "retry", fact.page.method)
    else:
        measure(RESPONSES, 1, type(fact).__name__)


async def poll(connection: Connection, now: datetime) -> Sequence[Level]:
    """How late the delivery ledger is."""
    return [Level(PAGES_LATE, seconds_since(await ledger.load_next_due(connection), now))]
