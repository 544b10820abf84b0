"""Every span that Tocsin makes. Spans are made from these, so there is none that does not stand
here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from shared.telemetry.attributes import (
    ATTEMPT,
    BATCH_COUNT,
    ERROR,
    INCIDENT_ID,
    INCIDENT_NUMBER,
    METHOD,
    OPERATION,
    OPERATION_TYPE,
    PAGE_METHOD,
    PRIORITY,
    ROUTE,
    STEP,
    SYSTEM,
    TEAM,
    TOPIC,
    VIA,
    Attribute,
)

Kind = Literal["internal", "client", "consumer", "server"]


@dataclass(frozen=True, eq=False, slots=True)
class Span:
    """`parent` says what it hangs from. `attributes` are those it may have; ON_FAILURE's are not
    repeated.

    The value of `varies`, one of the attributes, is the last word of its name.
    """

    service: str
    name: str
    parent: str
    meaning: str
    attributes: tuple[Attribute, ...] = ()
    kind: Kind = "internal"
    varies: Attribute | None = None

    @property
    def pattern(self) -> str:
        """The name, with that of the attribute in braces where it varies."""
        return f"{self.name} {{{self.varies.name}}}" if self.varies else self.name

    def named(self, attributes: Mapping[Attribute, str | int]) -> str:
        """The name of one with these attributes."""
        return f"{self.name} {attributes[self.varies]}" if self.varies else self.name


RECEIVE = Span(
    "intake", "POST", "the caller", "a request with signals", (METHOD, ROUTE), "server", ROUTE
)
REPORT = Span(
    "intake",
    "report incident",
    "the request, or the publisher",
    "an incident opened",
    (INCIDENT_ID, INCIDENT_NUMBER),
)
UPDATE = Span(
    "intake",
    "update incident",
    "`report incident`",
    "more signals came; linked to the signal's own trace",
    (INCIDENT_ID, INCIDENT_NUMBER),
)
CLEAR = Span(
    "intake",
    "clear incident",
    "`report incident`",
    "it ended at its source; linked to the signal's own trace",
    (INCIDENT_ID, INCIDENT_NUMBER),
)
JOIN = Span(
    "intake",
    "join incident",
    "the first of the repeats that it is about",
    "repeats joined an open incident; linked to the incident, and to the other repeats of the batch",
    (INCIDENT_ID,),
)
RECORD_CHANGE = Span("intake", "record change", "the request, or the publisher", "a change")
LOG_REQUEST = Span("intake", "log request", "the request, or the publisher", "a service request")
TRIAGE = Span(
    "triage",
    "triage incident",
    "intake's span that it answers",
    "priority and team",
    (INCIDENT_ID, PRIORITY, TEAM),
)
ROUTE_REQUEST = Span("triage", "route request", "`log request`", "who gets it", (TEAM,))
ESCALATE = Span(
    "escalation",
    "escalate",
    "`triage incident`; later steps: the first `escalate`",
    "a response starts; later: nobody answered, the next step (`tocsin.step`) begins",
    (INCIDENT_ID, STEP),
)
RESPOND = Span("escalation", "respond", "`triage incident`", "the incident changed", (INCIDENT_ID,))
PAGE = Span(
    "escalation",
    "page",
    "the `escalate` that ordered it, or the attempt whose method failed for good before",
    "one attempt",
    (INCIDENT_ID, PAGE_METHOD, STEP, ATTEMPT),
    "client",
    PAGE_METHOD,
)
ACKNOWLEDGE = Span(
    "escalation",
    "acknowledge",
    "the first `escalate`",
    "somebody took it; linked to the caller's own trace",
    (INCIDENT_ID, VIA),
)
RESOLVE = Span(
    "escalation",
    "resolve",
    "the first `escalate`; at its source: `triage incident`",
    "somebody resolved it, linked to the caller's own trace; or it ended at its source",
    (INCIDENT_ID, VIA),
)
CANARY_ROUND = Span(
    "canary", "go round", "nothing", "a round of the canary: the root of its incident's trace"
)
_BATCH = (SYSTEM, TOPIC, OPERATION, OPERATION_TYPE, BATCH_COUNT)
# Not a producer: the context that the messages carry is that of the span which decided them.
SEND = Span(
    "any",
    "send",
    "nothing",
    "a batch to Kafka, linked to the traces in it, the first 128 of them",
    _BATCH,
    "client",
    TOPIC,
)
PROCESS = Span(
    "any",
    "process",
    "nothing",
    "a batch from Kafka, linked to the traces in it, the first 128 of them",
    _BATCH,
    "consumer",
    TOPIC,
)

SPANS = tuple(found for found in dict(globals()).values() if isinstance(found, Span))
"""All of them, along an incident's way."""

ON_FAILURE = (ERROR,)
"""What a span has besides when it failed."""
