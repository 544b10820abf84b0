"""Spans of escalation."""

from services.escalation.metrics import PAGE_METHOD
from shared.telemetry.attributes import INCIDENT_ID, Attribute
from shared.telemetry.spans import BATCH_SPANS, Span

STEP = Attribute("tocsin.step", "step of the escalation policy, from 1", "int")
ATTEMPT = Attribute("tocsin.attempt", "number of the attempt at this page, from 1", "int")
VIA = Attribute("tocsin.via", "how an order came in", values=("api", "topic", "link", "source"))

ESCALATE = Span(
    "escalate",
    "`triage incident`; later steps: the first `escalate`",
    "a response starts; later: nobody answered, the next step (`tocsin.step`) begins",
    (INCIDENT_ID, STEP),
)
RESPOND = Span("respond", "`triage incident`", "the incident changed", (INCIDENT_ID,))
PAGE = Span(
    "page",
    "the `escalate` that ordered it, or the attempt whose method failed for good before",
    "one attempt",
    (INCIDENT_ID, PAGE_METHOD, STEP, ATTEMPT),
    "client",
    PAGE_METHOD,
)
ACKNOWLEDGE = Span(
    "acknowledge",
    "the first `escalate`",
    "somebody took it; linked to the caller's own trace",
    (INCIDENT_ID, VIA),
)
RESOLVE = Span(
    "resolve",
    "the first `escalate`; at its source: `triage incident`",
    "somebody resolved it, linked to the caller's own trace; or it ended at its source",
    (INCIDENT_ID, VIA),
)
SPANS = (ESCALATE, RESPOND, PAGE, ACKNOWLEDGE, RESOLVE, *BATCH_SPANS)
