"""Every attribute that a span or a metric may have. Nothing else leaves a process: no name of a
person, no address, no token, no body. A metric's attributes have few values; ids stand in spans
alone.
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, eq=False, slots=True)
class Attribute:
    """`values` are all there can be, where that is a fixed list. `standard`: of OpenTelemetry's
    conventions.
    """

    name: str
    meaning: str
    type: Literal["string", "int"] = "string"
    values: tuple[str, ...] = ()

    @property
    def standard(self) -> bool:
        """Whether OpenTelemetry's semantic conventions define it."""
        return not self.name.startswith("tocsin.")


SYSTEM = Attribute("messaging.system", "which bus", values=("kafka",))
TOPIC = Attribute("messaging.destination.name", "topic, without the prefix")
PARTITION = Attribute("messaging.destination.partition.id", "partition of the topic")
OPERATION = Attribute(
    "messaging.operation.name", "what is done with messages", values=("send", "process")
)
OPERATION_TYPE = Attribute(
    "messaging.operation.type", "the same, in the conventions' words", values=("send", "process")
)
BATCH_COUNT = Attribute("messaging.batch.message_count", "messages in the batch", "int")
METHOD = Attribute("http.request.method", "`_OTHER` for one that HTTP does not know")
ROUTE = Attribute(
    "http.route", "the path with names for its variable parts; absent where no route matched"
)
STATUS = Attribute("http.response.status_code", "status of the answer", "int")
ERROR = Attribute(
    "error.type", "class of the exception that ended it, never its message; absent where none did"
)
CPU_MODE = Attribute("cpu.mode", "for whom the processor worked", values=("user", "system"))

INCIDENT_ID = Attribute("tocsin.incident.id", "the incident's id")
INCIDENT_NUMBER = Attribute("tocsin.incident.number", "the incident's number, for people", "int")
PRIORITY = Attribute(
    "tocsin.priority", "priority of the incident", values=("P1", "P2", "P3", "P4", "P5")
)
TEAM = Attribute("tocsin.team", "who owns it, as the policy files name the team")
STEP = Attribute("tocsin.step", "step of the escalation policy, from 1", "int")
ATTEMPT = Attribute("tocsin.attempt", "number of the attempt at this page, from 1", "int")
PAGE_METHOD = Attribute("tocsin.method", "how the page goes out", values=("webhook", "email"))
VIA = Attribute(
    "tocsin.via", "which way an order came in", values=("api", "topic", "link", "source")
)
DECISION = Attribute("tocsin.decision", "what was decided; the metric says which there are")
RESULT = Attribute(
    "tocsin.result",
    "what came of an attempt: sent, failed and to be repeated, failed for good",
    values=("sent", "retry", "failed"),
)
STAGE = Attribute(
    "tocsin.stage", "part of an incident's way", values=("report", "triage", "escalate", "page")
)
ORIGIN = Attribute(
    "tocsin.origin", "what could not be worked on: its topic, or `timer`, or `outbox`"
)
COMPONENT = Attribute("tocsin.component", "part of the service, as /readyz names it")
POLICY = Attribute("tocsin.policy", "policy file")
CANARY_RESULT = Attribute(
    "tocsin.canary.result",
    "what came of a round: passed, or what was missing",
    values=(
        "passed",
        "not_accepted",
        "not_paged",
        "not_acknowledged",
        "not_synthetic",
        "not_resolved",
    ),
)
CANARY_STAGE = Attribute(
    "tocsin.canary.stage",
    "part of a round: from the signal, or from the order to acknowledge or end until reporting tells so; `round`: all",
    values=("accept", "page", "acknowledge", "resolve", "round"),
)

ATTRIBUTES = tuple(found for found in dict(globals()).values() if isinstance(found, Attribute))
"""All of them."""
