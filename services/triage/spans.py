"""Spans of triage."""

from services.triage.metrics import PRIORITY
from shared.telemetry.attributes import INCIDENT_ID, Attribute
from shared.telemetry.spans import BATCH_SPANS, Span

TEAM = Attribute("tocsin.team", "who owns it, as the policy files name the team")

TRIAGE = Span(
    "triage incident",
    "intake's span that it answers",
    "priority and team",
    (INCIDENT_ID, PRIORITY, TEAM),
)
ROUTE_REQUEST = Span("route request", "`log request`", "who gets it", (TEAM,))
SPANS = (TRIAGE, ROUTE_REQUEST, *BATCH_SPANS)
