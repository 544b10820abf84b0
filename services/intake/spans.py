"""Spans of intake."""

from shared.telemetry.attributes import INCIDENT_ID, METHOD, ROUTE, Attribute
from shared.telemetry.spans import BATCH_SPANS, Span

INCIDENT_NUMBER = Attribute("tocsin.incident.number", "the incident's number, for people", "int")

RECEIVE = Span("POST", "the caller", "a request with signals", (METHOD, ROUTE), "server", ROUTE)
REPORT = Span(
    "report incident",
    "the request, or the publisher",
    "an incident opened",
    (INCIDENT_ID, INCIDENT_NUMBER),
)
UPDATE = Span(
    "update incident",
    "`report incident`",
    "more signals came; linked to the signal's own trace",
    (INCIDENT_ID, INCIDENT_NUMBER),
)
CLEAR = Span(
    "clear incident",
    "`report incident`",
    "it ended at its source; linked to the signal's own trace",
    (INCIDENT_ID, INCIDENT_NUMBER),
)
RECLASSIFY = Span(
    "reclassify incident",
    "`report incident`",
    "a person said that it is something else",
    (INCIDENT_ID, INCIDENT_NUMBER),
)
JOIN = Span(
    "join incident",
    "the first of the repeats that it is about",
    "repeats joined an open incident; linked to the incident, and to the other repeats of the "
    "batch",
    (INCIDENT_ID,),
)
RECORD_CHANGE = Span("record change", "the request, or the publisher", "a change")
RECORD_ADVISORY = Span("record advisory", "the request, or the publisher", "an advisory")
LOG_REQUEST = Span("log request", "the request, or the publisher", "a service request")
SPANS = (
    RECEIVE,
    REPORT,
    UPDATE,
    CLEAR,
    RECLASSIFY,
    JOIN,
    RECORD_CHANGE,
    RECORD_ADVISORY,
    LOG_REQUEST,
    *BATCH_SPANS,
)
